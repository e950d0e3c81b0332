"""Reading a run: results, calls, counts and digests, streamed, from the file alone."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from whyrec.errors import UsageError
from whyrec.llm.model import USABLE, FinishReason, Reply, TokenLogprob, TokenScores, Usage
from whyrec.redaction import cut
from whyrec.runs.columns import missing, strange
from whyrec.runs.rows import Counts, Damaged, Metric, Result, Status, digest_of, unpack
from whyrec.sqlite import connect

FILE_NAME = "run.sqlite"
_RESULT_COLUMNS = ("key", "user", "split", "status", "reason", "generation", "size", "payload")
_RESULT = f"SELECT {','.join(_RESULT_COLUMNS)} FROM example"
_CHUNK = 500
_BITS = 63  # of SQLite's numbers
UNMETERED = "cache='miss' AND (tokens_in IS NULL OR tokens_out IS NULL)"  # sent, and nobody counted its tokens


class RunReader:
    """A recorded run. Everything it gives comes from `run.sqlite` in its folder.

    Attributes:
        id: name of the folder.
        folder: where it lives.
        path: its file.
    """

    def __init__(self, folder: Path) -> None:
        self.id, self.folder, self.path = folder.name, folder, folder / FILE_NAME
        self._read = connect(self.path, read_only=True)

    def info(self) -> dict[str, Any]:
        """The row of table `run`, by column.

        Raises:
            UsageError: it is not there, or not what a run writes.
        """
        cursor = self._read.execute("SELECT * FROM run")
        row = cursor.fetchone()
        if row is None:
            raise UsageError(f"The run in {self.folder} was never started (its file is empty). Remove the folder.")
        found = dict(zip((c[0] for c in cursor.description), row, strict=True))
        self._whole("run", found)
        self._json(found["settings"], "the run's settings")
        return found

    def statuses(self, keys: Iterable[str]) -> dict[str, str]:
        """ "done" or "failed" for those of the keys that have a result."""
        self._settle()
        wanted = list(keys)
        found: dict[str, str] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            found.update(self._read.execute(f"SELECT key,status FROM example WHERE key IN ({marks})", chunk).fetchall())
        return found

    def results(self, status: Status | None = None) -> Iterator[Result]:
        """Every result, or those of one status, ordered by key, one at a time."""
        self._settle()
        condition, values = (" WHERE status=?", (status,)) if status else ("", ())
        # ordered through the key's index, so that nothing is sorted or held
        yield from map(self._result, self._read.execute(f"{_RESULT} INDEXED BY sqlite_autoindex_example_1{condition} "
                                                   f"ORDER BY key", values))  # fmt: skip

    def result(self, key: str) -> Result | None:
        """The result of one example, None where there is none yet."""
        self._settle()
        row = self._read.execute(f"{_RESULT} WHERE key=?", (key,)).fetchone()
        return None if row is None else self._result(row)

    def digest(self) -> str:
        """16 hex digits of all results sorted by key: status and payload, not when, how often or why they failed."""
        self._settle()
        total = hashlib.blake2b(digest_size=8)
        rows = self._read.execute("SELECT key,status,digest FROM example INDEXED BY sqlite_autoindex_example_1 "
                                  "ORDER BY key")  # fmt: skip
        for row in rows:
            total.update(json.dumps(row).encode())
        return total.hexdigest()

    def counts(self) -> Counts:
        """The run in numbers."""
        self._settle()
        try:
            return read_counts(self._read)
        except OverflowError:
            raise self.damaged("its calls add up to no number") from None

    def unusable(self) -> dict[str, int]:
        """Reason -> how many answers were of no use for it, the commonest first."""
        self._settle()
        rows = self._read.execute(
            "SELECT verdict,count(*) FROM call WHERE unreadable<>'' GROUP BY verdict ORDER BY 2 DESC, 1"
        )
        return {reason or "unreadable": times for reason, times in rows}

    def metrics(self) -> list[Metric]:
        """All metrics, by name and labels."""
        self._settle()
        found = []
        for name, value, labels in self._read.execute("SELECT name,value,labels FROM metric ORDER BY name,labels"):
            self.check("metric", {"name": name, "value": value, "labels": labels})
            found.append(Metric(name, value, self._json(labels, f"the metric {name}")))
        return found

    def check(self, table: str, row: Mapping[str, Any]) -> None:
        """Refuse a row, or a part of one, with a value that a run never writes.

        Raises:
            UsageError: there is one.
        """
        if wrong := strange(table, row):
            raise self.damaged(wrong)

    def text(self, digest: int) -> str:
        """A stored text by its digest.

        Raises:
            UsageError: the run has lost it, or it is not what was stored.
        """
        row = self._read.execute("SELECT size,body FROM text WHERE digest=?", (digest,)).fetchone()
        if row is None:
            raise UsageError(
                f"{self.path} has lost a text (digest {digest}) that calls of the run refer to: something else changed "
                f"the file. Its other calls and all results can still be read."
            )
        try:
            text = unpack(*row)
        except Damaged as error:
            raise self.damaged(f"the text {digest}: {error}") from None
        if digest_of(text) != digest:
            raise self.damaged(f"the text {digest} is another than was stored")
        return cut(text)

    def calls(self, *, example: str = "", user: str = "", item: str = "", node: str = "") -> Iterator[dict[str, Any]]:
        """Calls in the order they were answered, by column, of one example, user, item or node where given.

        `settings`, `blanks`, `messages`, `answer`, `reasoning` and `logprobs` hold the text itself.
        """
        self._settle()
        given = {k: v for k, v in {"example": example, "user": user, "item": item, "node": node}.items() if v}
        # the <> '' lets SQLite use the partial indexes
        conditions = " AND ".join(f"{k}=?" + (f" AND {k}<>''" if k != "node" else "") for k in given) or "1"
        cursor = self._read.execute(f"SELECT * FROM call WHERE {conditions} ORDER BY id", tuple(given.values()))
        columns = [c[0] for c in cursor.description]
        for row in cursor:
            yield self._with_texts(dict(zip(columns, row, strict=True)))

    def tokens(self, examples: Sequence[str]) -> dict[str, tuple[int, int | None, int | None]]:
        """Node -> (first questions, tokens in, tokens out) of all that these examples asked.

        Repairs are no first questions; their tokens count. A cached answer counts with what it took at first. Scorings
        are questions, and their tokens do not count. None: nobody counted the tokens of one of the answers.
        """
        self._settle()
        took = "CASE WHEN cache='miss' THEN tokens_{0} ELSE made_{0} END"
        sides = ",".join(f"sum({took}) FILTER (WHERE kind='complete')".format(side) for side in ("in", "out"))
        unknown = "sum(kind='complete' AND " + took.format("in") + " + " + took.format("out") + " IS NULL)"
        rows = self._read.execute(
            f"SELECT node,sum(turn=0),{sides},{unknown} FROM call "
            f"WHERE example<>'' AND example IN ({','.join('?' * len(examples))}) AND error_kind='' GROUP BY node",
            tuple(examples),
        )
        return {
            node: (calls, None if missing else tokens_in or 0, None if missing else tokens_out or 0)
            for node, calls, tokens_in, tokens_out, missing in rows
        }

    def different(self, node: str) -> int:
        """How many different first questions of a node were answered, whoever asked them."""
        self._settle()
        (found,) = self._read.execute(
            "SELECT count(DISTINCT request) FROM call WHERE node=? AND turn=0 AND error_kind=''", (node,)
        ).fetchone()
        return int(found)

    def call(self, number: int) -> dict[str, Any] | None:
        """One call by its number, as `calls` gives it; None where there is none."""
        self._settle()
        if number.bit_length() > _BITS:
            return None
        cursor = self._read.execute("SELECT * FROM call WHERE id=?", (number,))
        row = cursor.fetchone()
        if row is None:
            return None
        return self._with_texts(dict(zip((c[0] for c in cursor.description), row, strict=True)))

    def numbers(self, request_digest: bytes, *, example: str = "") -> list[int]:
        """Numbers of the calls that asked this; those of the example where it asked, else all."""
        self._settle()
        rows = self._read.execute(
            "SELECT id,example FROM call WHERE request=? ORDER BY id", (request_digest,)
        ).fetchall()
        return [number for number, of in rows if of == example] or [number for number, _ in rows]

    def versions(self) -> list[tuple[str, str, str]]:
        """(name, digest, source text) of every version of a prompt that was used, in the order of first use."""
        found = self._read.execute("SELECT name,digest,text FROM prompt ORDER BY rowid").fetchall()
        for row in found:
            self.check("prompt", dict(zip(("name", "digest", "text"), row, strict=True)))
        return found

    def prompt(self, digest: str) -> tuple[str, str] | None:
        """(name, source text) of a version of a prompt that was used; None where it was not."""
        row = self._read.execute("SELECT name,text FROM prompt WHERE digest=?", (digest,)).fetchone()
        if row is None:
            return None
        self.check("prompt", dict(zip(("name", "text"), row, strict=True)))
        return row[0], row[1]

    def reply_for(self, request_digest: bytes, *, example: str = "") -> Reply | None:
        """The first answer recorded for a request and sample (`whyrec.llm.wrappers.cached.request_digest`), or None.

        Of several the one that this example got is preferred (until its revision 3 the simulated model knew more of a
        user than the request shows). Model and URL are no part of that digest, so another model may replay the run's
        answers. Its cost is 0.0.
        """
        self._settle()
        row = self._read.execute(
            "SELECT sample,answer,reasoning,logprobs,answered_by,finish,tokens_in,tokens_out,tokens_cached FROM call "
            "WHERE request=? AND kind='complete' AND error_kind='' ORDER BY example<>?, id LIMIT 1",
            (request_digest, example),
        ).fetchone()
        if row is None:
            return None
        sample, answer, reasoning, logprobs, answered_by, finish, tokens_in, tokens_out, tokens_cached = row
        return Reply(
            text="" if answer is None else self.text(answer),
            reasoning="" if reasoning is None else self.text(reasoning),
            sample=sample,
            usage=Usage(tokens_in, tokens_out, tokens_cached),
            finish_reason=cast("FinishReason", finish),
            logprobs=() if logprobs is None else read_logprobs(self._json(self.text(logprobs), "log-probabilities")),
            model=answered_by,
        )

    def scores_for(self, score_digest: bytes) -> list[TokenScores] | None:
        """The first scores recorded for a request and its continuations (`whyrec.llm.wrappers.cached.score_digest`)."""
        self._settle()
        row = self._read.execute(
            "SELECT answer FROM call WHERE request=? AND kind='score' AND error_kind='' ORDER BY id LIMIT 1",
            (score_digest,),
        ).fetchone()
        if row is None:
            return None
        return [TokenScores(text, tuple(logprobs)) for text, logprobs in self._json(self.text(row[0]), "scores")]

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._read.close()

    def _whole(self, table: str, row: Mapping[str, Any]) -> None:
        if wrong := missing(table, row):
            raise self.damaged(wrong)
        self.check(table, row)

    def _with_texts(self, call: dict[str, Any]) -> dict[str, Any]:
        self._whole("call", call)
        for column in ("settings", "blanks", "messages", "answer", "reasoning", "logprobs"):
            call[column] = "" if call[column] is None else self.text(call[column])
        return call

    def _result(self, row: tuple[Any, ...]) -> Result:
        self.check("example", dict(zip(_RESULT_COLUMNS, row, strict=True)))
        key, user, split, status, reason, generation, size, packed = row
        payload = None
        if packed is not None:
            try:
                payload = self._json(unpack(size, packed), f"the result of {key}")
            except Damaged as error:
                raise self.damaged(f"the result of {key}: {error}") from None
        return Result(key, user, split, status, reason, payload, generation)

    def _json(self, text: str, what: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.damaged(f"{what}: {error}") from None

    def damaged(self, what: str) -> UsageError:
        """The sentence for a file that holds what a run never writes."""
        return UsageError(
            f"{self.path} is damaged ({what}): something else changed the file. What is whole in it can still be read."
        )

    def _settle(self) -> None:
        """Make everything recorded so far visible to a read; a finished run has nothing to do."""


def read_logprobs(rows: list[Any]) -> tuple[TokenLogprob, ...]:
    """Log-probabilities from their JSON: [token, logprob, [[token, logprob], ...]] each."""
    return tuple(TokenLogprob(token, value, tuple((t, v) for t, v in top)) for token, value, top in rows)


def read_counts(connection: sqlite3.Connection) -> Counts:
    """Count a run's examples and calls."""
    statuses = dict(connection.execute("SELECT status,count(*) FROM example GROUP BY status").fetchall())
    row = connection.execute(
        "SELECT count(*), total(error_kind='' AND cache='miss'), total(error_kind='' AND cache='hit'),"
        " total(error_kind='' AND cache='joined'), total(error_kind<>''), total(turn>0), total(max(attempts-1,0)),"
        " total(tokens_in), total(tokens_out), total(tokens_cached), total(cost), total(cost IS NULL),"
        f" total(unreadable<>''), total({UNMETERED}), total(verdict='{USABLE}') FROM call"
    ).fetchone()
    whole = [int(value) for value in row]
    return Counts(
        done=statuses.get("done", 0),
        failed=statuses.get("failed", 0),
        calls=whole[0],
        asked=whole[1],
        hits=whole[2],
        joined=whole[3],
        errors=whole[4],
        repairs=whole[5],
        retries=whole[6],
        tokens_in=whole[7],
        tokens_out=whole[8],
        tokens_cached=whole[9],
        cost=float(row[10]),
        unpriced=whole[11],
        unreadable=whole[12],
        unmetered=whole[13],
        usable=whole[14],
    )
