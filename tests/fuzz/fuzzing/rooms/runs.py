"""Damaged runs: bytes flipped, files cut, values and tables that nobody wrote, and a sound run beside each.

Whatever a run's file has become, the list, the other runs and the pages are there; the run itself may be refused.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import WORDS
from fuzzing.target import Target

_DATA = "world:users=3,items=24,seed=3"
Change = tuple[str, Any]  # what is done, and with what
_TABLES = ("run", "example", "call", "prompt", "text", "metric")
_STATEMENTS = (
    *(f"DROP TABLE {table}" for table in _TABLES),
    *(f"DELETE FROM {table}" for table in _TABLES),
    *(f"PRAGMA user_version={version}" for version in (0, 1, 99, 2147483647)),
    "ALTER TABLE run DROP COLUMN settings",
    "ALTER TABLE call RENAME COLUMN cost TO price",
    "ALTER TABLE call DROP COLUMN error",
    "DROP INDEX call_node",
    "CREATE VIEW extra AS SELECT 1",
    "INSERT INTO metric VALUES ('m', '{', 1.0, 1.0)",
    "PRAGMA application_id=7",
    "INSERT INTO metric VALUES ('m', '[1]', 9e999, 1.0)",
    "UPDATE call SET id=9223372036854775807 WHERE id=1",
    "UPDATE call SET id=-5 WHERE id=1",
    "PRAGMA journal_mode=DELETE",
)
_RECORDED = (
    "{{ 9**(9**9) }}",
    "{{ 'a'*1000000000 }}",
    "---\nname: 2024-01-01\n---\n# user\nx",
    "",
    "{% for x in [1] %}",
    "\0",
)
_HARD = (
    "\udcff",
    float("inf"),
    float("nan"),
    2**63 - 1,
    -(2**63),
    b"",
    b"\xff\xfe",
    None,
    0,
    -1,
    1e300,
    "",
    "x" * 10_000,
)


def _settings(home: Path) -> Any:
    from whyrec.settings import read_settings

    return read_settings(home=home)


@functools.cache
def made() -> tuple[str, Path]:
    """(id, folder) of a sound run, and its cache, made once in this process."""
    from graphs.run import How, run
    from whyrec.data import open_data

    settings = _settings(Path("sound").absolute())
    corpus = open_data(_DATA, settings=settings).data
    report = asyncio.run(run("cot_rec.preference", corpus=corpus, model="extractive", how=How(settings=settings)))
    return report.run, settings.home


@functools.cache
def _bomb() -> bytes:
    """A stored text of under 1 MB that unpacks to 900 MB."""
    packer = zlib.compressobj(9)
    piece = b" " * (1 << 20)
    return b"".join(packer.compress(piece) for _ in range(900)) + packer.flush()


def damage(changes: list[Change], file: str = "run.sqlite", folder: Path | None = None) -> Path:
    """A home with a sound run called "sound" and the same run, damaged, called "hurt"."""
    run, source = made()
    home = Path("damaged").absolute()
    shutil.rmtree(home, ignore_errors=True)
    for name in ("sound", "hurt"):
        shutil.copytree(source / "runs" / run, home / "runs" / name)
    shutil.copy(source / "cache.sqlite", home / "cache.sqlite")
    path = (folder or home / "runs" / "hurt") / file
    for kind, what in changes:
        _apply(path, kind, what)
    return home


def _apply(path: Path, kind: str, what: Any) -> None:
    if kind == "bytes" and path.is_file():
        raw = path.read_bytes()
        at = len(raw) * what[0] // 10_000
        path.write_bytes(raw[:at] + what[1] + raw[at + len(what[1]) :])
    elif kind == "cut" and path.is_file():
        path.write_bytes(path.read_bytes()[: path.stat().st_size * what // 10_000])
    elif kind == "beside":
        Path(f"{path}{what[0]}").write_bytes(what[1])
    elif kind == "file":
        if not path.is_dir():
            path.unlink(missing_ok=True)
        if what == "folder":
            path.mkdir(exist_ok=True)
        elif what == "nowhere":
            path.exists() or path.symlink_to("/nowhere/run.sqlite")
        elif what == "itself":
            path.exists() or path.symlink_to(path.name)
    elif kind == "sql" and path.is_file():
        _sql(path, what)


def _sql(path: Path, what: Any) -> None:
    """A statement, or a value put into a column; what SQLite does not let through is left."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        try:
            if isinstance(what, str):
                connection.execute(what)
                return
            table, column, row, value = what
            names = [r[1] for r in connection.execute(f"PRAGMA table_info({table})")]
            name = names[column % len(names)]
            if value == "@bomb":
                value = _bomb()
            written = "CAST(? AS TEXT)" if isinstance(value, bytes) and column % 2 else "?"
            connection.execute(
                f"UPDATE {table} SET {name}={written} WHERE rowid=(SELECT rowid FROM {table} LIMIT 1 OFFSET ?)",
                (value, row),
            )
        except (sqlite3.Error, UnicodeError, IndexError, ZeroDivisionError, OverflowError):
            pass


def _cli(app: Any, *arguments: str) -> None:
    app(list(arguments), standalone_mode=False)


def listed(changes: list[Change]) -> object:
    """The list, the latest, and the run that is sound: a refusal here is a fault."""
    from whyrec.cli.runs import app as runs_app
    from whyrec.runs import list_runs, open_run
    from whyrec.trace.address import find_run

    home = damage(changes)
    with _at(home):
        try:
            _cli(runs_app, "ls")
            found = [info.id for info in list_runs(home)]
            sound = open_run(home, "sound")
            assert sound.counts().done == 3
            sound.close()
            find_run(home).close()
        except Exception as error:
            raise AssertionError(
                f"a damaged run is in the way of the others: {type(error).__name__} {error}"[:400]
            ) from error
    assert "sound" in found
    return found


def shown(given: tuple[list[Change], str]) -> object:
    """The damaged run itself, looked at in every way the command line has."""
    from whyrec.cli.runs import app as runs_app
    from whyrec.cli.trace import app as trace_app

    changes, how = given
    home = damage(changes)
    commands = {
        "show": (runs_app, ("show", "hurt")),
        "example": (runs_app, ("show", "hurt", "test/u0")),
        "diff": (runs_app, ("diff", "hurt", "sound")),
        "ls": (trace_app, ("ls", "hurt")),
        "json": (trace_app, ("ls", "hurt", "--format", "json")),
        "search": (trace_app, ("ls", "hurt", "the")),
        "call": (trace_app, ("show", "hurt:1")),
        "path": (trace_app, ("example", "hurt", "u0")),
        "calls": (trace_app, ("diff", "hurt:1", "sound:1")),
    }
    app, arguments = commands[how]
    with _at(home):
        _cli(app, *arguments)
    return how


def index(changes: list[Change]) -> object:
    """The full-text index beside a run: it is ours to make anew, or to refuse."""
    from whyrec.cli.trace import app

    home = damage([])
    with _at(home):
        _cli(app, "ls", "hurt", "the")
        damage_only(home / "runs" / "hurt" / "search.sqlite", changes)
        _cli(app, "ls", "hurt", "the")
    return True


def damage_only(path: Path, changes: list[Change]) -> None:
    for kind, what in changes:
        _apply(path, kind, what)


def pages(given: tuple[list[Change], str]) -> object:
    """The local page over such a home; a server error is a fault."""
    changes, page = given
    home = damage(changes)
    answer = _client().get(page)
    assert answer.status_code < 500 and (page != "/" or answer.status_code == 200), (
        f"{page} answers {answer.status_code}"
    )
    return home, answer.status_code


@functools.cache
def _client() -> Any:
    from starlette.testclient import TestClient

    from whyrec.ui.app import build
    from whyrec.ui.safety import Door

    settings = _settings(Path("damaged").absolute())
    return TestClient(build(settings, Door()), base_url="http://127.0.0.1:8700", raise_server_exceptions=True)


def cache(changes: list[Change]) -> object:
    """A damaged call cache: an entry that cannot be read is a miss, a file that cannot is refused."""
    from graphs.run import How, run
    from whyrec.data import open_data

    home = damage(changes, "cache.sqlite", Path("damaged").absolute())
    settings = _settings(home)
    corpus = open_data(_DATA, settings=settings).data
    how = How(settings=settings, new=True)
    return asyncio.run(run("cot_rec.preference", corpus=corpus, model="extractive", users=1, how=how)).done


class _at:
    """With WHYREC_HOME set."""

    def __init__(self, home: Path) -> None:
        self._home = str(home)

    def __enter__(self) -> None:
        self._before = os.environ["WHYREC_HOME"]
        os.environ["WHYREC_HOME"] = self._home

    def __exit__(self, *_: object) -> None:
        os.environ["WHYREC_HOME"] = self._before


def _changes(tables: tuple[str, ...] = _TABLES) -> st.SearchStrategy[list[Change]]:
    place = st.integers(0, 10_000)
    value = st.sampled_from(_HARD) | st.sampled_from(WORDS[:30]) | st.sampled_from(_RECORDED) | st.just("@bomb")
    cell = st.tuples(st.sampled_from(tables), st.integers(0, 40), st.integers(0, 3), value)
    raw = st.binary(min_size=1, max_size=8) | st.sampled_from([b"\0" * 4096, b"\xff" * 4096, b"\0" * 16])
    beside = st.tuples(st.sampled_from(["-wal", "-shm", "-journal"]), st.binary(max_size=40) | st.just(b"\0" * 32768))
    one = (
        st.tuples(st.just("sql"), cell)
        | st.tuples(st.just("sql"), cell)
        | st.tuples(st.just("sql"), st.sampled_from([s for s in _STATEMENTS if tables == _TABLES or "version" in s]))
        | st.tuples(st.just("bytes"), st.tuples(place, raw))
        | st.tuples(st.just("bytes"), st.tuples(st.integers(0, 40), raw))
        | st.tuples(st.just("cut"), place)
        | st.tuples(st.just("beside"), beside)
        | st.tuples(st.just("file"), st.sampled_from(["folder", "nowhere", "itself", "gone"]))
    )
    return st.lists(one, min_size=1, max_size=3)


def _seen(names: list[str]) -> st.SearchStrategy[tuple[list[Change], str]]:
    return st.tuples(_changes(), st.sampled_from(names))


def _warm() -> None:
    _bomb()
    listed([])
    for how in ("show", "ls", "search", "call", "path"):
        shown(([], how))


_WAYS = ["show", "example", "diff", "ls", "json", "search", "call", "call", "path", "calls"]
_PAGES = [
    "/",
    "/runs/hurt",
    "/runs/hurt/calls",
    "/runs/hurt/calls?text=the",
    "/runs/hurt/calls/1",
    "/runs/hurt/examples/test/u0",
    "/runs/sound",
    "/diff?a=hurt:1&b=sound:1",
    "/vectors",
]
TARGETS = (
    Target("runs.listed", _changes, listed, 1.0, prepare=_warm),
    Target("runs.shown", lambda: _seen(_WAYS), shown, 2.0, prepare=_warm),
    Target("runs.pages", lambda: _seen(_PAGES), pages, 1.0, prepare=lambda: [pages(([], page)) for page in _PAGES]),
    Target("runs.index", lambda: _changes(("upto", "call_text_data", "call_text_idx")), index, 0.4, prepare=_warm),
    Target("runs.cache", lambda: _changes(("answer",)), cache, 0.3, prepare=lambda: cache([])),
)
