"""SQLite files: batches, migrations, and clear sentences for what can go wrong with a disk."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyrec.errors import UsageError
from whyrec.sqlite import (
    BATCH_ROWS,
    BATCH_SECONDS,
    BatchedWriter,
    connect,
    deflate,
    insert_rows,
    make_folder,
    migrate,
    schema_version,
)


def one(connection):
    connection.execute("CREATE TABLE thing (name TEXT)")


def two(connection):
    connection.execute("ALTER TABLE thing ADD COLUMN size INTEGER NOT NULL DEFAULT 7")


def broken(connection):
    connection.execute("CREATE TABLE half (a)")
    raise RuntimeError("power cut")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.sqlite"
    connection = connect(path)
    migrate(connection, path, [one])
    connection.close()
    return path


def names(path: Path) -> list[str]:
    connection = connect(path, read_only=True)
    try:
        return [row[0] for row in connection.execute("SELECT name FROM thing ORDER BY rowid")]
    finally:
        connection.close()


def add(connection, batch):
    insert_rows(connection, "INSERT INTO thing(name)", [(name,) for name in batch])


def test_a_file_of_version_1_is_brought_up_with_its_rows(path: Path) -> None:
    connection = connect(path)
    connection.execute("INSERT INTO thing VALUES ('old')")
    assert migrate(connection, path, [one, two]) == 1
    assert connection.execute("SELECT name, size FROM thing").fetchall() == [("old", 7)]
    assert schema_version(connection) == 2
    assert migrate(connection, path, [one, two]) == 0
    connection.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    connection = connect(path)
    with pytest.raises(RuntimeError, match="power cut"):
        migrate(connection, path, [one, broken])
    assert schema_version(connection) == 1
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name='half'").fetchone() == (0,)
    connection.close()


def test_a_file_from_the_future_is_refused(path: Path) -> None:
    connection = connect(path)
    migrate(connection, path, [one, two])
    with pytest.raises(UsageError, match=r"newer whyrec.*version 2, this one knows 1"):
        migrate(connection, path, [one])
    connection.close()


def test_many_who_open_a_new_file_at_once_migrate_it_once(tmp_path: Path) -> None:
    path, ran, start = tmp_path / "new.sqlite", [], threading.Barrier(8)

    def open_it() -> None:
        start.wait()
        connection = connect(path)
        ran.append(migrate(connection, path, [one, two]))
        connection.close()

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ran) == 2 and len(ran) == 8


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_insert_rows_inserts_each_row_once_in_order(path: Path, count: int) -> None:
    connection = connect(path)
    connection.execute("BEGIN")
    add(connection, [str(i) for i in range(count)])
    connection.execute("COMMIT")
    connection.close()
    assert names(path) == [str(i) for i in range(count)]


@given(st.binary(max_size=20_000))
def test_any_zlib_reads_what_deflate_writes(data: bytes) -> None:
    assert zlib.decompress(deflate(data)) == data


def test_the_window_leaves_time_for_the_commit() -> None:
    assert BATCH_ROWS == 64 and BATCH_SECONDS < 0.1


def test_a_writer_commits_soon_and_in_batches(path: Path) -> None:
    batches = []
    writer = BatchedWriter(path, lambda c, b: (batches.append(len(b)), add(c, b)))
    writer.submit("first")
    began = time.monotonic()
    while not names(path):
        time.sleep(0.005)
    assert time.monotonic() - began < 1.0  # 100 ms, and room for a busy machine
    for i in range(10 * BATCH_ROWS):
        writer.submit(str(i))
    writer.flush()
    assert names(path) == ["first", *map(str, range(10 * BATCH_ROWS))]
    assert len(batches) <= 1 + 10 + 1
    writer.close()
    writer.close()


def test_what_a_closing_writer_still_holds_is_written(path: Path) -> None:
    done = []
    writer = BatchedWriter(path, add, done.extend)
    writer.submit("last words")
    writer.close()
    assert names(path) == ["last words"] and done == ["last words"]


def test_a_failure_reaches_whoever_comes_next_and_undoes_only_its_batch(path: Path) -> None:
    def write(connection, batch):
        add(connection, batch)
        if "bad" in batch:
            raise RuntimeError("no such luck")

    writer = BatchedWriter(path, write)
    writer.submit("good")
    writer.flush()
    writer.submit("bad")
    for act in (writer.flush, lambda: writer.submit("late"), writer.close):
        with pytest.raises(RuntimeError, match="no such luck"):
            act()
    assert names(path) == ["good"]


def test_max_page_count_gives_the_sentence_about_space(path: Path) -> None:
    def write(connection, batch):
        connection.execute("PRAGMA max_page_count=10")
        add(connection, batch)

    writer = BatchedWriter(path, write)
    writer.submit("fits")
    writer.flush()
    writer.submit("x" * 100_000)
    with pytest.raises(UsageError, match=r"no space left to write .*Nothing already done is lost.*same command again"):
        writer.flush()
    with pytest.raises(UsageError, match="no space left"):
        writer.close()
    assert names(path) == ["fits"]


LIMITED = """
    import resource, sys
    from pathlib import Path
    from whyrec.errors import UsageError
    from whyrec.sqlite import BatchedWriter, connect, insert_rows

    path = Path(sys.argv[1])
    writer = BatchedWriter(path, lambda c, b: insert_rows(c, "INSERT INTO thing(name)", [(n,) for n in b]))
    writer.submit("before")
    writer.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
    try:
        for i in range(100):
            writer.submit("x" * 5_000)
            writer.flush()
    except UsageError as error:
        print(error)
"""


def test_a_limit_on_file_sizes_gives_the_sentence_about_space(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(path)], capture_output=True, text=True, check=False
    )
    assert "no space left to write" in done.stdout and "Nothing already done is lost" in done.stdout, done.stderr
    written = names(path)
    assert written[0] == "before" and 1 < len(written) < 100


KILLED = """
    import sys, time
    from pathlib import Path
    from whyrec.sqlite import BatchedWriter, insert_rows

    writer = BatchedWriter(Path(sys.argv[1]), lambda c, b: insert_rows(c, "INSERT INTO thing(name)", b))
    i = 0
    while True:
        writer.submit((f"{i} {time.time()}",))
        i += 1
        if i % 10 == 0:
            print(i, time.time(), flush=True)
        time.sleep(0.001)
"""


def test_a_killed_writer_loses_at_most_one_commit_window(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline().split() for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    said += [line.split() for line in process.stdout.read().splitlines() if line.count(" ") == 1]
    process.stdout.close()
    process.wait()
    kept = [int(name.split()[0]) for name in names(path)]
    assert kept == list(range(len(kept)))
    submitted, died = int(said[-1][0]), float(said[-1][1])
    oldest_lost = next((float(at) for count, at in said if int(count) > len(kept)), died)
    # the bound is 64 rows or 100 ms; a loaded machine may stop the whole process for a while, so allow for that here
    assert submitted - len(kept) <= BATCH_ROWS + 10 or died - oldest_lost <= 0.25


def test_wrong_places_are_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder, but a SQLite file is needed"):
        connect(tmp_path)
    with pytest.raises(UsageError, match="There is no file"):
        connect(tmp_path / "none.sqlite", read_only=True)
    (tmp_path / "text").write_text("hello, I am no database, " * 100)
    with pytest.raises(UsageError, match="not a readable SQLite file"):
        connect(tmp_path / "text")
    with pytest.raises(UsageError, match=r"text is a file, but a folder is needed"):
        make_folder(tmp_path / "text" / "below" / "it")
    with pytest.raises(UsageError, match=r"text is a file, but a folder is needed"):
        make_folder(tmp_path / "text")
    with pytest.raises(UsageError, match="cannot be written"):
        connect(tmp_path / "no folder" / "file.sqlite")


def test_another_process_may_read_while_one_writes(path: Path) -> None:
    reader = sqlite3.connect(path)
    writer = BatchedWriter(path, add)
    writer.submit("seen")
    writer.flush()
    assert reader.execute("SELECT name FROM thing").fetchall() == [("seen",)]
    reader.close()
    writer.close()


# --- damaged, gone, read-only


def test_damage_is_told_by_the_read_that_meets_it(path: Path) -> None:
    with closing(connect(path)) as connection:
        insert_rows(connection, "INSERT INTO thing(name)", [("x" * 500,) for _ in range(200)])
    raw = bytearray(path.read_bytes())
    raw[4096 * 3 :] = b"\xff" * (len(raw) - 4096 * 3)
    path.write_bytes(raw)
    with closing(connect(path, read_only=True)) as reading:
        rows = reading.execute("SELECT name FROM thing")
        assert rows.fetchone() == ("x" * 500,)
        for read in (lambda: list(rows), lambda: reading.execute("SELECT count(*) FROM thing").fetchone()):
            with pytest.raises(UsageError, match=r"file\.sqlite is damaged.*take it from a copy"):
                read()


def test_a_text_that_is_none_and_a_table_that_is_missing_are_damage(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO thing VALUES (CAST(x'ff61' AS TEXT))")
    with closing(connect(path, read_only=True)) as reading:
        with pytest.raises(UsageError, match="is damaged"):
            reading.execute("SELECT name FROM thing").fetchall()
        with pytest.raises(UsageError, match="no file of whyrec's"):
            reading.execute("SELECT 1 FROM elsewhere")


@pytest.mark.parametrize("killed", [False, True])
def test_a_file_beside_which_nothing_can_be_made_is_read_as_it_lies(path: Path, tmp_path: Path, killed: bool) -> None:
    """As on a read-only mount: the names that SQLite would make are taken by folders, so that its open fails."""
    mounted = tmp_path / "mounted" / "file.sqlite"
    mounted.parent.mkdir()
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO thing VALUES ('in the file')")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO thing VALUES ('in the log')")
        shutil.copy(path, mounted)
        if killed:
            shutil.copy(f"{path}-wal", f"{mounted}-wal")
    Path(f"{mounted}-shm").mkdir()
    before = mounted.read_bytes()
    assert names(mounted) == ["in the file", *(["in the log"] if killed else [])]
    assert mounted.read_bytes() == before
    assert not list(Path(tempfile.gettempdir()).glob("whyrec-read-*/file.sqlite")), "its copy is gone"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_gone_stops_its_writer(path: Path, replaced: bool) -> None:
    def write(connection: sqlite3.Connection, rows: list[str]) -> None:
        insert_rows(connection, "INSERT INTO thing(name)", [(row,) for row in rows])

    writer: BatchedWriter[str] = BatchedWriter(path, write)
    writer.submit("a")
    writer.flush()
    for file in path.parent.glob("file.sqlite*"):
        file.unlink()
    if replaced:
        connect(path).close()
    writer.submit("b")
    with pytest.raises(UsageError, match="is gone: something removed or replaced it"):
        writer.flush()
    with pytest.raises(UsageError, match="is gone"):
        writer.close()
    if not replaced:
        with pytest.raises(UsageError, match="is gone"):
            connect(path, create=False)
