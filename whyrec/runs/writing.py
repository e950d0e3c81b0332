"""The one writer of a run: starts it or goes on with it, and records results, calls and metrics in batches."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from whyrec.errors import LockedError, UsageError
from whyrec.llm.model import USABLE
from whyrec.redaction import cut, redact
from whyrec.runs.identity import Identity, canonical
from whyrec.runs.reading import FILE_NAME, RunReader
from whyrec.runs.rows import CallRecord, Counts, Result, pack
from whyrec.runs.schema import MIGRATIONS, Batch, call_row, write_batches
from whyrec.sqlite import BatchedWriter, Row, connect, make_folder, migrate
from whyrec.sqlite.errors import is_full, no_space, readable
from whyrec.version import __version__

if TYPE_CHECKING:
    from filelock import FileLock

LOCK_NAME = "writer.lock"
State = Literal["running", "done", "failed", "interrupted", "stopped"]


class Run(RunReader):
    """A run that is being written, by one process at a time.

    `record` and `log` return at once; what they were given is on disk within 100 ms, and `flush` waits for it. When
    the disk is full they, `flush` and `close` raise `UsageError`. Reading sees everything recorded before.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        super().__init__(folder)
        self._lock = lock
        self._unsettled = self._closed = False
        self._counts = super().counts()
        self._changed: dict[str, int] = dict.fromkeys((f.name for f in dataclasses.fields(Counts)), 0)
        self._cost = 0.0
        self._known: set[int | str] = set()
        self._writer: BatchedWriter[Batch] = BatchedWriter(folder / FILE_NAME, self._write)

    @classmethod
    def open(cls, home: Path, identity: Identity, *, new: bool = False, command: str = "") -> Run:
        """Start the run of this identity or go on with its latest; `new` starts another beside it.

        The folder is `home/runs/<graph>-<data>-<digest>[-n]`.

        Raises:
            LockedError: another process writes to it.
            UsageError: the folder or its file cannot be made, read or written, or there is no space.
        """
        folder = _choose_folder(home / "runs", identity, new=new)
        lock = lock_run(folder)
        try:
            connection = connect(folder / FILE_NAME)
            try:
                migrate(connection, folder / FILE_NAME, MIGRATIONS)
                _introduce(connection, folder, identity, command)
            finally:
                connection.close()
            return cls(folder, lock)
        except BaseException as error:
            lock.release()
            if isinstance(error, (sqlite3.Error, OSError)) and is_full(error):
                raise no_space(folder / FILE_NAME, error) from None
            raise

    def record(self, results: Sequence[Result]) -> None:
        """Record results; a result and its done-mark are one row, and all of one call are one transaction."""
        now = time.time()
        rows = []
        for result in results:
            payload = None if result.payload is None else cut(canonical(result.payload))
            packed = None if payload is None else pack(payload)
            digest = "" if payload is None else hashlib.blake2b(_raw(payload), digest_size=8).hexdigest()
            rows.append(
                (result.key, result.user, result.split, result.status, redact(result.reason), result.generation, now,
                 digest, None if packed is None else packed.size, None if packed is None else packed.body)
            )  # fmt: skip
        self._unsettled = True
        self._writer.submit(Batch(examples=rows))

    def log(self, call: CallRecord) -> None:
        """Record one call; texts and prompts that are already there are stored once."""
        texts = [text for text in (call.blanks, call.messages, call.answer, call.reasoning, call.logprobs) if text]
        if call.settings.digest not in self._known:
            self._known.add(call.settings.digest)
            texts.append(call.settings)
        about = call.about
        prompts: tuple[Row, ...] = ()
        if about.prompt_digest and about.prompt_digest not in self._known:
            self._known.add(about.prompt_digest)
            prompts = ((about.prompt_digest, about.prompt, about.prompt_text),)
        self._count(call)
        self._unsettled = True
        self._writer.submit(Batch(calls=(call_row(call),), texts=texts, prompts=prompts))

    def metric(self, name: str, value: float, **labels: Any) -> None:
        """Record a number; the same name and labels replace it."""
        self._unsettled = True
        self._writer.submit(Batch(metrics=((name, canonical(labels), float(value), time.time()),)))

    def counts(self) -> Counts:
        """The run in numbers, cheap enough for a live display; examples as of the last commit."""
        changed, before = self._changed, self._counts
        whole = {name: getattr(before, name) + changed[name] for name in changed if name != "cost"}
        return Counts(**whole, cost=before.cost + self._cost)

    def flush(self) -> None:
        """Wait until everything recorded is on disk."""
        self._unsettled = False
        self._writer.flush()

    def finish(self, state: State) -> None:
        """Write how the run ended; it may be gone on with all the same."""
        self.flush()
        self._update("UPDATE run SET state=?, ended_at=?", (state, time.time()))

    def close(self) -> None:
        """Write what is left, give back the lock. Idempotent.

        Raises:
            UsageError: there was no space; what had been committed is kept.
        """
        if self._closed:
            return
        self._closed = True
        super().close()  # first: the last to close folds the write-ahead log in, and a reader cannot
        try:
            self._writer.close()
        finally:
            self._lock.release()

    def _settle(self) -> None:
        if self._unsettled:
            self.flush()

    def _update(self, statement: str, values: tuple[Any, ...]) -> None:
        path = self.folder / FILE_NAME
        connection = connect(path, create=False)
        try:
            connection.execute(statement, values)
        except sqlite3.Error as error:
            raise readable(path, error) from None
        finally:
            connection.close()

    def _count(self, call: CallRecord) -> None:
        changed, reply = self._changed, call.reply
        changed["calls"] += 1
        changed["repairs"] += call.about.turn > 0
        changed["unreadable"] += call.unreadable != ""
        changed["usable"] += call.verdict == USABLE
        if reply is None:
            changed["errors"] += 1
            changed["retries"] += max(call.attempts - 1, 0)
            changed["unmetered"] += call.charged
            changed["unpriced"] += call.charged
            return
        changed["asked" if reply.cache == "miss" else "hits" if reply.cache == "hit" else "joined"] += 1
        changed["retries"] += max(reply.attempts - 1, 0)
        changed["tokens_in"] += reply.usage.prompt or 0
        changed["tokens_out"] += reply.usage.completion or 0
        changed["tokens_cached"] += reply.usage.cached or 0
        changed["unmetered"] += not reply.usage.known
        if reply.cost is None:
            changed["unpriced"] += 1
        else:
            self._cost += reply.cost

    def _write(self, connection: sqlite3.Connection, batches: list[Batch]) -> None:
        examples = {row[0]: row[3] for batch in batches for row in batch.examples}
        keys = list(examples)
        before: dict[str, str] = {}
        for start in range(0, len(keys), 500):
            chunk = keys[start : start + 500]
            marks = ",".join("?" * len(chunk))
            before.update(
                connection.execute(f"SELECT key,status FROM example WHERE key IN ({marks})", chunk).fetchall()
            )
        write_batches(connection, batches)
        for status in before.values():
            self._changed[status] -= 1
        for status in examples.values():
            self._changed[status] += 1


def lock_run(folder: Path) -> FileLock:
    """Take the writer's lock of a run's folder, which the system gives back when the process dies.

    Raises:
        LockedError: another process, or this one, holds it.
        UsageError: the lock file cannot be made.
    """
    from filelock import FileLock, Timeout  # a reader needs none

    lock = FileLock(folder / LOCK_NAME, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"Another process{_writer_of(folder)} is writing to the run {folder.name}. Wait for it or end it, or "
            f"start a run of its own with --new."
        ) from None
    except OSError as error:
        raise (
            no_space(folder, error)
            if is_full(error)
            else UsageError(f"The run folder {folder} cannot be written ({error}).")
        ) from None
    return lock


def _writer_of(folder: Path) -> str:
    try:
        connection = connect(folder / FILE_NAME, read_only=True)
    except UsageError:
        return ""
    try:
        row = connection.execute("SELECT pid,host FROM run").fetchone()
    except UsageError:
        return ""
    finally:
        connection.close()
    return f" (pid {row[0]} on {row[1]})" if row else ""


def _choose_folder(runs: Path, identity: Identity, *, new: bool) -> Path:
    """The latest folder of this run, or the next one; it exists afterwards."""
    make_folder(runs)
    matches = [m for p in runs.iterdir() if (m := identity.stems.fullmatch(p.name)) is not None]
    number, stem = max(((int(m["number"] or 1), m["stem"]) for m in matches), default=(0, identity.stem))
    if new or not matches:
        number, stem = number + 1, identity.stem
    folder = runs / (stem if number == 1 else f"{stem}-{number}")
    make_folder(folder)
    return folder


def _introduce(connection: sqlite3.Connection, folder: Path, identity: Identity, command: str) -> None:
    """Write the run's row, or check that the one there is of the same identity and say that it goes on."""
    row = connection.execute("SELECT identity FROM run").fetchone()
    if row is not None and row[0] != identity.digest:
        raise UsageError(
            f"{folder} holds another run (its identity is {row[0]}, this one's is {identity.digest}). Start with --new."
        )
    now, here = time.time(), (redact(command), _git_revision(), __version__, platform.node(), os.getpid())
    if row is None:
        connection.execute(
            "INSERT INTO run(id,identity,graph,data,data_digest,data_path,model,model_revision,settings,command,"
            "git_revision,whyrec,host,pid,state,started_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,'running',?)",
            (folder.name, identity.digest, identity.graph, cut(identity.data), identity.data_digest,
             cut(identity.data_path), redact(identity.model), identity.model_revision, redact(identity.settings), *here,
             now),
        )  # fmt: skip
    else:
        connection.execute(
            "UPDATE run SET command=?, git_revision=?, whyrec=?, host=?, pid=?, state='running', ended_at=NULL", here
        )


def _git_revision() -> str:
    """Commit of the checkout this code runs from, "-dirty" with changes; "" outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _raw(text: str) -> bytes:
    return json.dumps(text).encode()
