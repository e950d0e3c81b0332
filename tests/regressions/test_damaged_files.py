"""One damaged file costs itself: no list, no page and no other run."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from whyrec.errors import UsageError
from whyrec.runs import Identity, Result, Run
from whyrec.settings import Settings
from whyrec.ui.app import build

ROOT = Path(__file__).resolve().parents[2]


def home() -> Path:
    return Path(os.environ["WHYREC_HOME"])


def made(graph: str, examples: int = 400) -> Path:
    """A finished run of some pages; its folder."""
    run = Run.open(home(), Identity(graph, "some data", "d1", "extractive"))
    run.record([Result(f"test/u{i}", f"u{i}", "test", "done", payload={"text": f"{i} " * 60}) for i in range(examples)])
    run.finish("done")
    run.close()
    return run.folder


def bad_page(file: Path) -> None:
    """The second half of the file overwritten, as by a disk that lost it."""
    raw = bytearray(file.read_bytes())
    raw[4096 * 4 :] = b"\xa5" * (len(raw) - 4096 * 4)
    file.write_bytes(raw)


def changed_start(file: Path) -> None:
    """A number of the manifest that became a text."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE run SET started_at='gone'")
        connection.commit()


def cut_file(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:10_000])


@pytest.mark.parametrize("damage", [bad_page, changed_start, cut_file])
def test_10_a_damaged_run_blocks_no_list_and_no_page(
    whyrec: Callable[..., Any], damage: Callable[[Path], None]
) -> None:
    good, bad = made("cot_rec.preference"), made("pulse.choose")
    damage(bad / "run.sqlite")
    listed = whyrec("runs", "ls")
    assert listed.code == 0 and good.name in listed.out and "unreadable" in listed.out, listed.said
    assert f"{bad.name}:" in listed.said
    latest = whyrec("runs", "show", "latest")
    assert latest.code == 0 and good.name in latest.out, latest.said
    client = TestClient(build(Settings(home=home())), base_url="http://127.0.0.1:8700", raise_server_exceptions=False)
    page = client.get("/")
    assert page.status_code == 200 and good.name in page.text and "unreadable" in page.text


def test_10_a_damaged_result_is_a_sentence(whyrec: Callable[..., Any]) -> None:
    folder = made("cot_rec.preference", 3)
    with closing(sqlite3.connect(folder / "run.sqlite")) as connection:
        connection.execute("UPDATE example SET payload=substr(payload, 1, 20)")
        connection.commit()
    shown = whyrec("runs", "show", "latest", "test/u1")
    assert shown.sentence and "test/u1" in shown.said, shown.said


def test_10_a_damaged_cache_entry_is_a_miss(whyrec: Callable[..., Any]) -> None:
    arguments = ("cot_rec.preference", "--data", "world", "--users", "2", "--llm", "extractive")
    assert whyrec("run", *arguments).code == 0
    with closing(sqlite3.connect(home() / "cache.sqlite")) as connection:
        connection.execute("UPDATE answer SET body=substr(body, 1, 20)")
        connection.commit()
    again = whyrec("run", *arguments, "--new")
    assert again.code == 0 and "2 done" in again.said, again.said
    third = whyrec("run", *arguments, "--new")
    assert "Every answer came from the cache" in third.said, "the new answers took the place of the damaged ones"


@pytest.mark.parametrize("killed", [False, True])
def test_10_a_run_on_a_read_only_mount_can_be_read(killed: bool) -> None:
    folder = made("cot_rec.preference", 3)
    if killed:  # its last rows are in a write-ahead log, whose index the medium does not hold
        left = sqlite3.connect(folder / "run.sqlite")
        left.execute("UPDATE example SET status='failed', reason='only in the log' WHERE key='test/u1'")
        left.commit()
        copy = folder.with_name("copy")
        copy.mkdir()
        for name in ("run.sqlite", "run.sqlite-wal"):
            shutil.copy(folder / name, copy / name)
        left.close()
        shutil.rmtree(folder)
        copy.rename(folder)
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; shift; exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(home()), sys.executable, "-m", "whyrec"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    try:
        done = subprocess.run([*command, "runs", "show", "latest"], env=environment, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 0 and "cot_rec.preference" in done.stdout, done.stderr[-500:]
    assert not killed or "only in the log" in done.stdout


def test_10_a_run_that_vanishes_while_it_is_written_is_a_sentence() -> None:
    run = Run.open(home(), Identity("cot_rec.preference", "some data", "d1", "extractive"))
    run.record([Result("test/a", "a", "test", "done", payload={"text": "first"})])
    run.flush()
    for file in run.folder.glob("run.sqlite*"):
        file.unlink()
    said: Exception | None = None
    try:
        run.record([Result("test/b", "b", "test", "done", payload={"text": "second"})])
        run.finish("done")
    except Exception as error:
        said = error
    assert isinstance(said, UsageError) and "gone" in str(said), repr(said)


@pytest.mark.parametrize("what", ["at='gone'", "tokens_in='many', tokens_out=1", "cost=x'00'", "at=1e300"])
def test_22_a_call_with_a_value_that_no_run_writes_is_a_sentence(whyrec: Callable[..., Any], what: str) -> None:
    assert whyrec("run", "cot_rec.preference", "--data", "world:users=3,items=24", "--llm", "extractive").code == 0
    (file,) = (home() / "runs").glob("*/run.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"UPDATE call SET {what}")
        connection.commit()
    for asked in (("trace", "show", "latest:1"), ("trace", "ls", "latest")):
        shown = whyrec(*asked)
        assert shown.sentence and "is damaged" in shown.said, shown.said
