"""From the wheel, outside of a checkout: does a guest's first graph work, and does `whyrec ui` show what was made?

    python tests/checks/wheel.py [--screenshot results.png]

Builds the wheel (pip fetches hatchling), installs it alone into a new virtual environment that reads the other packages
of the one that runs this. In one empty folder it goes through the tutorial of docs/plugins.md with nothing edited: a
graph and a recommender of one's own by every command, their tests, the page. In another it computes a small table,
starts the page and fetches it. Prints what it saw, with the seconds of each command; exit 1 where a command does not
say what it should, the tutorial's commands take longer than seven minutes, a page does not show what was made, the
table is not the first on the page, the project's own are not behind it, or something was written into the folder.
Three minutes on two cores, fifteen at most; servers bind 127.0.0.1.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = "cot_rec.table_1.world_users=200_items=200"
EVAL = [
    *("eval", "cot_rec.table_1", "--data", "world:users=200,items=200", "--embedder", "lsa:16", "--epochs", "1"),
    *("--cells", "popularity;item-CF;SASRec user=None,item=Random;SASRec user=None,item=Caption", "--users", "100"),
]
# The tutorial: (command, what it has to say). {run} is the run that `whyrec run` made.
TUTORIAL = (
    ("new graph taste", "whyrec.toml names the plug-in"),
    ("run taste --data world --llm extractive --users 20", "20 done + 0 failed"),
    ("trace ls latest --limit 2", "1 to 2 of 20 calls"),
    ("trace show latest:1", "as Liking"),
    ("trace example latest u0", "what comes out is what the run has stored"),
    ("debug taste --data world --user u0", "session 1: taste, test/u0"),
    ("debug 1 --from 0 --set latest=2", "latest = 2"),
    ("compare taste --data world --llm extractive --llm simulated:0.5 --users 20 --yes", "words"),
    ("audit latest", "Clean: nothing was found."),
    ("new recommender lately", "whyrec.toml names the plug-in"),
    ("fit lately --data world", "test: ndcg@10"),
    (
        "eval cot_rec.table_1 --data world -o recommender=lately --cells popularity;item-CF;lately",
        "lately seed 2021",
    ),
    ("plugins", "recommenders"),
)
MOST_SECONDS = 420


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--screenshot", type=Path, help="where to keep a picture of the page (needs chromium)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whyrec-wheel-") as folder:
        place = Path(folder)
        whyrec = _installed(_built(place), place)
        here, home = place / "here", place / "home"
        here.mkdir()
        kept = ("PATH", "LANG", "HOME", "OMP_NUM_THREADS", "WHYREC_DATA")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"WHYREC_HOME": str(home), "COLUMNS": "160"}
        wrong = _tutorial(whyrec, place, environment)
        done = subprocess.run([whyrec, *EVAL], cwd=here, env=environment, text=True, capture_output=True, timeout=420)
        print(f"$ whyrec {' '.join(EVAL)}\n{done.stdout}{done.stderr}exit {done.returncode}\n")
        wrong += [f"whyrec eval ended with {done.returncode}"] if done.returncode else []
        wrong += [f"written into the current folder: {path.name}" for path in here.iterdir()]
        wrong += _page(whyrec, here, environment, arguments.screenshot)
    print("\n".join([f"WRONG {line}" for line in wrong] or ["All as it should be."]))
    return 1 if wrong else 0


def _built(place: Path) -> Path:
    """The wheel of this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", place, ROOT]
    subprocess.run(command, check=True, timeout=240)
    (wheel,) = place.glob("whyrec-*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
    return wheel


def _installed(wheel: Path, place: Path) -> str:
    """The command of the wheel, in an environment of its own that reads the packages of ours behind it."""
    venv.create(place / "venv", with_pip=False)
    python = place / "venv" / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True, timeout=120)
    (site,) = (place / "venv" / "lib").glob("python*/site-packages")
    # a path in a .pth file is read, the .pth files in it are not: an editable checkout of ours stays out
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    ask = "import whyrec, evals; print(whyrec.__file__); print(evals.__file__)"
    found = subprocess.run([python, "-c", ask], cwd=place, env={}, text=True, capture_output=True, check=True).stdout
    print(f"whyrec is {found.split()[0]}")
    assert all(line.startswith(str(site)) for line in found.split()), "the code that runs is not the wheel's"
    return str(place / "venv" / "bin" / "whyrec")


def _tutorial(whyrec: str, place: Path, environment: dict[str, str]) -> list[str]:
    """What is wrong with a guest's first steps, in a folder and a home of their own."""
    here = place / "guest"
    here.mkdir()
    environment = {**environment, "WHYREC_HOME": str(place / "guest_home")}
    wrong, run, whole = [], "", 0.0
    for command, wanted in TUTORIAL:
        start = time.monotonic()
        done = subprocess.run(
            [whyrec, *command.split(" ")], cwd=here, env=environment, text=True, capture_output=True, timeout=420
        )
        whole += (took := time.monotonic() - start)
        said = " ".join(done.stdout.split())
        run = run or "".join(re.findall(r"run (taste-world-\w+)", said)[:1])
        holds = done.returncode == 0 and wanted in said
        print(f"{took:6.1f} s  {'as it should be' if holds else 'WRONG'}  $ whyrec {command}")
        wrong += [] if holds else [f"whyrec {command}: exit {done.returncode}, no {wanted!r} in\n{said}{done.stderr}"]
    print(f"{whole:6.1f} s  in all")
    wrong += [f"the tutorial took {whole:.0f} s"] if whole > MOST_SECONDS else []
    python = Path(whyrec).with_name("python")
    test = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=here, env=environment, text=True, capture_output=True, timeout=240,
    )  # fmt: skip
    print(f"$ python -m pytest -q\n{test.stdout.splitlines()[-1] if test.stdout else test.stderr}\n")
    wrong += [f"the tests of what was written: {test.stdout}{test.stderr}"] if test.returncode else []
    with _served(whyrec, here, environment) as address:
        pages = {
            "/": run,
            f"/runs/{run}": "Fernhill",
            f"/runs/{run}/calls/1": "Liking",
            "/prompts/taste/ask": "# system",
        }
        for path, wanted in pages.items():
            there = wanted in _fetched(address + path)
            print(f"{address}{path}: {'shows' if there else 'WRONG, shows no'} {wanted}")
            wrong += [] if there else [f"the page {path} does not show {wanted}"]
    return wrong


@contextmanager
def _served(whyrec: str, here: Path, environment: dict[str, str]) -> Iterator[str]:
    """The page of a home, at an address of its own while the block runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([whyrec, "ui", "--port", str(port)], cwd=here, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _page(whyrec: str, here: Path, environment: dict[str, str], screenshot: Path | None) -> list[str]:
    """What is wrong with the page of results."""
    with _served(whyrec, here, environment) as root:
        address = f"{root}/results"
        listed, table = _fetched(address), _fetched(f"{address}/{TABLE}")
        if screenshot is not None:
            _pictured(address, screenshot)
    links = [urllib.parse.unquote(link) for link in re.findall(r'href="(/results/[^"]+)"', listed)]
    print(f"{address} lists {len(links)} tables, first {', '.join(links[:2])}")
    said = " ".join(re.sub(r"<[^>]+>", " ", table).split())
    print(f"the table's page: {said[said.find('Computed in this home') :][:1500]}")
    wanted = {
        "the table just made is first": links[:1] == [f"/results/{TABLE}"],
        "the project's own tables stand behind it": len(links) > 1 and all("/project/" in link for link in links[1:]),
        "the project's own are labelled": "none of it computed in this home" in listed,
        "the table says where it comes from": "Computed in this home" in said,
        "the table holds what was computed": "SASRec user=None,item=Caption" in said,
        "a quick look has no verdict": any(word in said.lower() for word in ("no result", "no verdict")),
    }
    return [f"not so: {what}" for what, holds in wanted.items() if not holds]


def _fetched(address: str) -> str:
    for _ in range(120):
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return str(answer.read().decode("utf-8"))
        except ConnectionError:
            time.sleep(0.5)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
            time.sleep(0.5)
    raise TimeoutError(f"nothing answers at {address}")


def _pictured(address: str, file: Path) -> None:
    """A picture of the page, by the chromium that is installed."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1300,1400"]
    subprocess.run([*command, f"--screenshot={file.absolute()}", address], check=True, capture_output=True, timeout=120)
    print(f"pictured: {file}")


if __name__ == "__main__":
    sys.exit(main())
