"""From the wheel, outside of a checkout: does `whyrec ui` show the table that `whyrec eval` has just made?

    python tests/checks/wheel.py [--screenshot results.png]

Builds the wheel (pip fetches hatchling), installs it alone into a new virtual environment that reads the other packages
of the one that runs this, goes to an empty folder, computes a small table, starts the page and fetches it. Prints what
it saw; exit 1 where the table is not the first on the page, the project's own are not behind it, or something was
written into the current folder. Two minutes on two cores, ten at most; servers bind 127.0.0.1.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = "cot_rec.table_1.world_users=200_items=200"
EVAL = [
    *("eval", "cot_rec.table_1", "--data", "world:users=200,items=200", "--embedder", "lsa:16", "--epochs", "1"),
    *("--cells", "popularity;item-CF;SASRec user=None,item=Random;SASRec user=None,item=Caption", "--users", "100"),
]


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
        done = subprocess.run([whyrec, *EVAL], cwd=here, env=environment, text=True, capture_output=True, timeout=420)
        print(f"$ whyrec {' '.join(EVAL)}\n{done.stdout}{done.stderr}exit {done.returncode}\n")
        wrong = [f"whyrec eval ended with {done.returncode}"] if done.returncode else []
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


def _page(whyrec: str, here: Path, environment: dict[str, str], screenshot: Path | None) -> list[str]:
    """What is wrong with the page of results."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([whyrec, "ui", "--port", str(port)], cwd=here, env=environment, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/results"
        listed, table = _fetched(address), _fetched(f"{address}/{TABLE}")
        if screenshot is not None:
            _pictured(address, screenshot)
    finally:
        server.terminate()
        server.wait(30)
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
