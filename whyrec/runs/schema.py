"""The tables of a run (docs/runs.md explains each column) and how they came to be."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from whyrec.runs.rows import CallRecord
from whyrec.sqlite import Migration, Row, insert_rows

CALL_COLUMNS = (
    "at", "kind", "example", "user", "item", "split", "graph", "node", "agent", "prompt", "prompt_digest", "turn",
    "retry", "sample", "model", "request", "settings", "blanks", "messages", "answer", "reasoning", "logprobs",
    "answered_by", "finish", "attempts", "tokens_in", "tokens_out", "tokens_cached", "cost", "queue_s", "service_s",
    "cache", "error_kind", "error", "unreadable", "made_in", "made_out", "made_cost", "made_s", "verdict",
)  # fmt: skip


def create_tables(connection: sqlite3.Connection) -> None:
    """Version 1: run, example, call, prompt, text, metric."""
    for statement in (
        "CREATE TABLE run (id TEXT PRIMARY KEY, identity TEXT NOT NULL, graph TEXT NOT NULL, data TEXT NOT NULL,"
        " data_digest TEXT NOT NULL, model TEXT NOT NULL, model_revision TEXT NOT NULL, settings TEXT NOT NULL,"
        " command TEXT NOT NULL, git_revision TEXT NOT NULL, whyrec TEXT NOT NULL, host TEXT NOT NULL,"
        " pid INTEGER NOT NULL, state TEXT NOT NULL, started_at REAL NOT NULL, ended_at REAL)",
        "CREATE TABLE example (key TEXT PRIMARY KEY, user TEXT NOT NULL, split TEXT NOT NULL, status TEXT NOT NULL,"
        " reason TEXT NOT NULL, generation INTEGER NOT NULL, at REAL NOT NULL, digest TEXT NOT NULL,"
        " size INTEGER, payload BLOB)",
        "CREATE INDEX example_status ON example(status)",
        "CREATE TABLE call (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, example TEXT NOT NULL,"
        " user TEXT NOT NULL, item TEXT NOT NULL, split TEXT NOT NULL, graph TEXT NOT NULL, node TEXT NOT NULL,"
        " agent TEXT NOT NULL, prompt TEXT NOT NULL, prompt_digest TEXT NOT NULL, turn INTEGER NOT NULL,"
        " retry INTEGER NOT NULL, sample INTEGER NOT NULL, model TEXT NOT NULL, request BLOB NOT NULL,"
        " settings INTEGER NOT NULL, blanks INTEGER, messages INTEGER, answer INTEGER, reasoning INTEGER,"
        " logprobs INTEGER, answered_by TEXT NOT NULL, finish TEXT NOT NULL, attempts INTEGER NOT NULL,"
        " tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, tokens_cached INTEGER NOT NULL, cost REAL,"
        " queue_s REAL NOT NULL, service_s REAL NOT NULL, cache TEXT NOT NULL, error_kind TEXT NOT NULL,"
        " error TEXT NOT NULL)",
        "CREATE INDEX call_request ON call(request)",
        "CREATE INDEX call_example ON call(example) WHERE example <> ''",
        "CREATE INDEX call_user ON call(user, node) WHERE user <> ''",
        "CREATE INDEX call_item ON call(item, node) WHERE item <> ''",
        "CREATE TABLE prompt (digest TEXT PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL)",
        "CREATE TABLE text (digest INTEGER NOT NULL UNIQUE, size INTEGER NOT NULL, body BLOB NOT NULL)",
        "CREATE TABLE metric (name TEXT NOT NULL, labels TEXT NOT NULL, value REAL NOT NULL, at REAL NOT NULL,"
        " PRIMARY KEY (name, labels))",
    ):
        connection.execute(statement)


def index_nodes(connection: sqlite3.Connection) -> None:
    """Version 2: calls of one node are found without reading the others."""
    connection.execute("CREATE INDEX call_node ON call(node)")


def allow_unknown(connection: sqlite3.Connection) -> None:
    """Version 3: tokens may be unknown (NULL), unusable answers say why, cached ones what they took at first.

    A model that answered without one token in or out had its tokens counted by nobody: those become NULL. What older
    cached answers took was not written down and stays NULL.
    """
    for column in ("unreadable TEXT NOT NULL DEFAULT ''", "made_in INTEGER", "made_out INTEGER", "made_cost REAL",
                   "made_s REAL"):  # fmt: skip
        connection.execute(f"ALTER TABLE call ADD COLUMN {column}")
    # taking a NOT NULL away changes nothing that is stored, and so needs no copy of a million calls: the way that
    # SQLite's documentation of ALTER TABLE gives for it
    version = connection.execute("PRAGMA schema_version").fetchone()[0]
    connection.execute("PRAGMA writable_schema=ON")
    for column in ("tokens_in", "tokens_out", "tokens_cached"):
        connection.execute(
            "UPDATE sqlite_schema SET sql=replace(sql, ?, ?) WHERE type='table' AND name='call'",
            (f"{column} INTEGER NOT NULL", f"{column} INTEGER"),
        )
    connection.execute(f"PRAGMA schema_version={version + 1}")
    connection.execute("PRAGMA writable_schema=RESET")
    connection.execute(
        "UPDATE call SET tokens_in=NULL, tokens_out=NULL, tokens_cached=NULL"
        " WHERE cache='miss' AND error_kind='' AND tokens_in=0 AND tokens_out=0"
    )


def keep_data_path(connection: sqlite3.Connection) -> None:
    """Version 4: where the data lie, so that they are found again from any folder; "" in older runs."""
    connection.execute("ALTER TABLE run ADD COLUMN data_path TEXT NOT NULL DEFAULT ''")


def keep_verdicts(connection: sqlite3.Connection) -> None:
    """Version 5: why an answer is of no use, as one of a few reasons that can be counted; NULL where nobody judged it.

    Older runs say of their unusable answers why, in a sentence, and of the others nothing.
    """
    connection.execute("ALTER TABLE call ADD COLUMN verdict TEXT")
    connection.execute("UPDATE call SET verdict='unreadable' WHERE unreadable<>''")


MIGRATIONS: Sequence[Migration] = (create_tables, index_nodes, allow_unknown, keep_data_path, keep_verdicts)


def call_row(call: CallRecord) -> Row:
    """A call as a row of `CALL_COLUMNS`."""
    about, reply = call.about, call.reply
    texts = (call.blanks, call.messages, call.answer, call.reasoning, call.logprobs)
    head = (
        call.at, call.kind, about.example, about.user, about.item, about.split, about.graph, about.node, about.agent,
        about.prompt, about.prompt_digest, about.turn, call.retry, call.sample, call.model, call.request,
        call.settings.digest, *[None if text is None else text.digest for text in texts],
    )  # fmt: skip
    if reply is None:
        tokens, cost = (None, None) if call.charged else (0, 0.0)
        return (
            *head, "", "error", call.attempts, tokens, tokens, tokens, cost, 0.0, 0.0, "miss", call.error_kind,
            call.error, "", None, None, None, None, None,
        )  # fmt: skip
    usage, made = reply.usage, reply.made
    first = (None,) * 4 if made is None else (made.usage.prompt, made.usage.completion, made.cost, made.seconds)
    return (
        *head, reply.model, reply.finish_reason, reply.attempts, usage.prompt, usage.completion, usage.cached,
        reply.cost, round(reply.queue_s, 6), round(reply.service_s, 6), reply.cache, "", "", call.unreadable, *first,
        call.verdict,
    )  # fmt: skip


_CALL = f"INSERT INTO call({','.join(CALL_COLUMNS)})"
_TEXT = "INSERT OR IGNORE INTO text(digest,size,body)"
_PROMPT = "INSERT OR IGNORE INTO prompt(digest,name,text)"
_METRIC = "INSERT OR REPLACE INTO metric(name,labels,value,at)"
_EXAMPLE = "INSERT OR REPLACE INTO example(key,user,split,status,reason,generation,at,digest,size,payload)"


class Batch:
    """Rows on their way into a run, by table."""

    __slots__ = ("calls", "examples", "metrics", "prompts", "texts")

    def __init__(
        self,
        *,
        calls: Sequence[Row] = (),
        texts: Sequence[Row] = (),
        prompts: Sequence[Row] = (),
        examples: Sequence[Row] = (),
        metrics: Sequence[Row] = (),
    ) -> None:
        self.calls, self.texts, self.prompts, self.examples, self.metrics = calls, texts, prompts, examples, metrics


def write_batches(connection: sqlite3.Connection, batches: Sequence[Batch]) -> None:
    """Insert all rows of the batches, within the caller's transaction."""
    insert_rows(connection, _TEXT, [row for batch in batches for row in batch.texts])
    insert_rows(connection, _CALL, [row for batch in batches for row in batch.calls])
    insert_rows(connection, _PROMPT, [row for batch in batches for row in batch.prompts])
    insert_rows(connection, _EXAMPLE, [row for batch in batches for row in batch.examples])
    insert_rows(connection, _METRIC, [row for batch in batches for row in batch.metrics])
