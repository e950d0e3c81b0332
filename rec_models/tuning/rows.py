"""Rows to tune a language model on: a prompt as it is sent at inference, and the answer that is to be learnt.

A file of rows is JSON lines. The first line is the head: what the rows were made of (digests of prompts, data, split).
A row made from a prompt of the house keeps its blanks too, so that it can be rendered again with the options in another
order or without its oldest history; the messages stand beside them for people, and are checked against the blanks where
they are read. Any file of conversations ({"messages": [...]}, the answer last), such as `whyrec trace dataset` writes,
is a file of rows as well: without a head and without blanks, so it is taken word for word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import prompts
from prompts.lines import LETTERS
from whyrec.errors import LeakageError, UsageError
from whyrec.llm.model import Message

KIND = "whyrec tuning rows"
VERSION = 1
OPTIONS, HISTORY = "options", "history"  # blanks that may be put in another order, and cut from the front
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Row:
    """One thing to learn.

    Attributes:
        key: unique in the file, for errors and reports.
        messages: what is asked, as it is sent at inference.
        answer: what is to be said.
        labels: the answers there are to choose from; () where the answer is free text.
        prompt, digest: name and version of the prompt that was rendered; "" for foreign conversations.
        blanks: what filled it, as JSON data; empty for foreign conversations.
        group: whose row it is (a user): rows of one group are never on both sides of train and dev.
    """

    key: str
    messages: tuple[Message, ...]
    answer: str
    labels: tuple[str, ...] = ()
    prompt: str = ""
    digest: str = ""
    blanks: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""

    @property
    def lettered(self) -> bool:
        """Whether its labels are the letters of a list of options that can be shown in another order."""
        options = self.blanks.get(OPTIONS)
        return isinstance(options, list) and self.labels == tuple(LETTERS[: len(options)])

    def reordered(self, order: Sequence[int]) -> Row:
        """With the option at place `order[i]` behind the i-th letter, and the answer's letter as it is then."""
        assert self.lettered and sorted(order) == list(range(len(self.labels))), order
        shown = [self.blanks[OPTIONS][i] for i in order]
        answer = self.labels[list(order).index(self.labels.index(self.answer))]
        return replace(self._told({OPTIONS: shown}), answer=answer)

    def latest(self, events: int) -> Row:
        """With only so many latest events of its history."""
        return self._told({HISTORY: self.blanks[HISTORY][-events:]})

    @property
    def events(self) -> int:
        """How long the history is that can be cut; 0 where there is none."""
        history = self.blanks.get(HISTORY)
        return len(history) if isinstance(history, list) else 0

    def _told(self, changed: Mapping[str, Any]) -> Row:
        blanks = {**self.blanks, **changed}
        return replace(self, blanks=blanks, messages=_prompt(self).render(**blanks))


@dataclass(frozen=True)
class Rows:
    """What is learnt from, and what it is told by.

    Attributes:
        train: to learn from.
        dev: held out: to stop by, and never learnt from.
        made: of what, as JSON data: data set, its digest, split, options; {} for foreign conversations.
    """

    train: tuple[Row, ...]
    dev: tuple[Row, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """16 hex digits of everything that is learnt from, in its order."""
        total = hashlib.sha256()
        for part, rows in (("train", self.train), ("dev", self.dev)):
            for row in rows:
                total.update(f"{part}\n{_line(row, part)}\n".encode())
        return total.hexdigest()[:16]

    @property
    def prompts(self) -> dict[str, str]:
        """Name -> version of the prompts of all rows."""
        return {row.prompt: row.digest for row in (*self.train, *self.dev) if row.prompt}


def held_out(rows: Iterable[Row], share: float, *, seed: int = 0) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """(train, dev): a share of the groups, drawn by their names alone, with all of their rows.

    A row without a group is a group of its own. At least one group of two or more is held out.

    Raises:
        UsageError: the share is not between 0 and 1.
    """
    if not 0 <= share < 1:
        raise UsageError(f"The share of rows that is held out lies between 0 and 1, not at {share:g}.")
    rows = tuple(rows)
    groups = sorted({row.group or row.key for row in rows}, key=lambda name: _draw(name, seed))
    count = max(1, round(share * len(groups))) if share and len(groups) > 1 else 0
    kept_out = set(groups[:count])
    return (
        tuple(row for row in rows if (row.group or row.key) not in kept_out),
        tuple(row for row in rows if (row.group or row.key) in kept_out),
    )


def write_rows(rows: Rows, file: Path) -> None:
    """Write a file of rows; one that is there is replaced once all of it is written."""
    head = {"kind": KIND, "version": VERSION, "prompts": rows.prompts, "made": dict(rows.made)}
    head |= {"train": len(rows.train), "dev": len(rows.dev), "digest": rows.digest}
    draft = file.with_name(f"{file.name}.part")
    with draft.open("w", encoding="utf-8") as out:
        out.write(json.dumps(head, ensure_ascii=False) + "\n")
        for part, some in (("train", rows.train), ("dev", rows.dev)):
            out.writelines(_line(row, part) + "\n" for row in some)
    draft.replace(file)


def read_rows(file: Path, *, dev: float = 0.1, seed: int = 0) -> Rows:
    """The rows of a file, ours or any conversations.

    Args:
        file: JSON lines.
        dev, seed: which share is held out of a file that does not say itself.

    Raises:
        UsageError: a line is no row, a prompt has changed since, or the file is not what its head says.
        LeakageError: the rows were made of test targets.
    """
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The rows {file} cannot be read: {error}.") from None
    head = _object(lines[0], file, 1) if lines else {}
    if head.get("kind") != KIND:
        train, out = held_out(
            [_read(_object(text, file, n), file, n) for n, text in enumerate(lines, 1)], dev, seed=seed
        )
        return _some(Rows(train, out, {"file": file.name}), file)
    if head.get("version") != VERSION:
        raise UsageError(
            f"{file} holds rows of version {head.get('version')}; this whyrec reads {VERSION}: make them anew."
        )
    made = head.get("made")
    found: dict[str, list[Row]] = {"train": [], "dev": []}
    for number, text in enumerate(lines[1:], 2):
        line = _object(text, file, number)
        if line.get("part") not in found:
            raise UsageError(f"Line {number} of {file} says neither that it is of train nor of dev.")
        found[line["part"]].append(_read(line, file, number))
    rows = Rows(tuple(found["train"]), tuple(found["dev"]), made if isinstance(made, dict) else {})
    if rows.made.get("split") == "test":
        raise LeakageError(
            f"{file} holds rows made of test targets, from which nothing may be learnt. Use split valid."
        )
    if rows.digest != head.get("digest"):
        raise UsageError(f"{file} is not what its first line says (lines are changed or missing): make the rows anew.")
    return _some(rows, file)


def _some(rows: Rows, file: Path) -> Rows:
    if not rows.train:
        raise UsageError(f"{file} has no row to learn from.")
    return rows


def _line(row: Row, part: str) -> str:
    """A row as it stands in a file: the conversation in the form that other tuners read, and what is ours beside it."""
    turns = [{"role": m.role, "content": m.content} for m in row.messages]
    turns.append({"role": "assistant", "content": row.answer})
    told: dict[str, Any] = {"messages": turns, "key": row.key, "part": part}
    for name in ("group", "prompt", "digest"):
        if value := getattr(row, name):
            told[name] = value
    if row.labels:
        told["labels"] = list(row.labels)
    if row.blanks:
        told["blanks"] = dict(row.blanks)
    return json.dumps(told, ensure_ascii=False)


def _read(line: dict[str, Any], file: Path, number: int) -> Row:
    """One line.

    Raises:
        UsageError: it is no conversation that ends in an answer, or its parts do not fit each other.
    """
    where = f"Line {number} of {file}"
    turns = line.get("messages")
    if not isinstance(turns, list) or len(turns) < 2 or not all(_is_turn(turn) for turn in turns):
        raise UsageError(
            f"{where} is no row: it needs messages, a list of turns with role and content, the answer as the last one."
        )
    messages, last = tuple(Message(t["role"], t["content"]) for t in turns[:-1]), turns[-1]
    if last["role"] != "assistant" or not last["content"].strip():
        raise UsageError(f"{where} does not end in an answer of the assistant's.")
    labels, blanks = line.get("labels") or [], line.get("blanks") or {}
    if not (isinstance(labels, list) and isinstance(blanks, dict)):
        raise UsageError(f"{where} is no row: labels are a list, and blanks are names with values.")
    row = Row(
        key=str(line.get("key") or line.get("call") or f"line {number}"),
        messages=messages,
        answer=last["content"],
        labels=tuple(str(label) for label in labels),
        prompt=str(line.get("prompt") or ""),
        digest=str(line.get("digest") or ""),
        blanks=blanks,
        group=str(line.get("group") or ""),
    )
    if row.labels and row.answer not in row.labels:
        raise UsageError(f"{where} answers {row.answer[:40]!r}, which is none of its labels {', '.join(row.labels)}.")
    if row.blanks and _prompt(row).render(**row.blanks) != row.messages:
        raise UsageError(
            f"{where} has messages that its prompt {row.prompt} does not make of its blanks: make it anew."
        )
    return row


def _prompt(row: Row) -> prompts.Prompt:
    """The prompt a row was rendered by.

    Raises:
        UsageError: it has changed since.
    """
    prompt = prompts.load(row.prompt)
    if prompt.digest != row.digest:
        raise UsageError(
            f"The row {row.key} was rendered by version {row.digest} of the prompt {row.prompt}, which is now "
            f"{prompt.digest}: a model must meet in use what it was tuned on, so make the rows anew."
        )
    return prompt


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.get("role") in _ROLES and isinstance(turn.get("content"), str)


def _object(text: str, file: Path, number: int) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"Line {number} of {file} is no JSON object.")
    return found


def _draw(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
