"""A recorded run as an object: its results, its calls, what they cost, and one example from question to answer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from graphs.engine.job import RunReport
from whyrec.api.shown import cells, facts, text, whole
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import Message
from whyrec.runs import Counts, Result, RunReader
from whyrec.runs import list_runs as listed
from whyrec.runs.amounts import judged, spent, sums
from whyrec.runs.export import write_parquet
from whyrec.settings import Settings, read_settings
from whyrec.trace.address import find_run
from whyrec.workbench.asked import asked

_HEAD = 5  # results shown in a notebook


@dataclass(frozen=True)
class Results:
    """What came of every example, done and failed, ordered by key; read from the file each time."""

    run: Run

    def __iter__(self) -> Iterator[Result]:
        with self.run.reader() as reader:
            yield from reader.results()

    def __len__(self) -> int:
        counts = self.run.counts
        return counts.done + counts.failed

    def __getitem__(self, key: str) -> Result:
        """The result of an example, by its key or by the user or item it is of.

        Raises:
            UnknownNameError: there is none.
        """
        with self.run.reader() as reader:
            for name in (key, f"test/{key}", f"valid/{key}", f"train/{key}", f"item/{key}"):
                if (found := reader.result(name)) is not None:
                    return found
            some = [result.key for result in islice(reader.results(), _HEAD)]
        raise UnknownNameError("example", key, some, hint="These are some of them.")

    def to_polars(self) -> pl.DataFrame:
        """Columns key, user, split, status, reason, generation, and one per field of the payload."""
        with tempfile.TemporaryDirectory() as folder, self.run.reader() as reader:
            path = Path(folder) / "results.parquet"
            write_parquet(reader, path)
            return pl.read_parquet(path, memory_map=False)

    def to_pandas(self) -> Any:
        """As `to_polars`, a pandas.DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_pandas(self.to_polars())

    def _repr_html_(self) -> str:
        some = islice(self, _HEAD)
        rows = [(one.key, one.status, _short(one.payload) if one.payload else one.reason) for one in some]
        return cells(("example", "status", "result"), rows) + f"<p>{len(self):,} results</p>"


@dataclass(frozen=True)
class Calls:
    """The calls of a run in the order they were answered, one dictionary each (docs/runs.md has the columns)."""

    run: Run
    wanted: Mapping[str, str]

    def where(self, *, example: str = "", user: str = "", item: str = "", node: str = "") -> Calls:
        """Only those of an example, a user, an item or a node."""
        more = {"example": example, "user": user, "item": item, "node": node}
        return Calls(self.run, {**self.wanted, **{name: value for name, value in more.items() if value}})

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self.run.reader() as reader:
            yield from reader.calls(**self.wanted)

    def __len__(self) -> int:
        return sum(1 for _ in self) if self.wanted else self.run.counts.calls

    def to_polars(self) -> pl.DataFrame:
        """One row per call."""
        return pl.DataFrame(list(self), infer_schema_length=None)

    def to_pandas(self) -> Any:
        """As `to_polars`, a pandas.DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_pandas(self.to_polars())


@dataclass(frozen=True)
class Cost:
    """What the calls of a run took. Sums are lower bounds where servers counted nothing (`unmetered`) or prices are not
    known (`unpriced`).
    """

    calls: int
    cached: int
    tokens_in: int
    tokens_out: int
    dollars: float
    unmetered: int
    unpriced: int
    told: str

    def __str__(self) -> str:
        return self.told

    def _repr_html_(self) -> str:
        return text(self.told)


@dataclass(frozen=True)
class Said:
    """One call: the messages that were sent, what was answered, and why the answer is of no use ("" where it is)."""

    node: str
    turn: int
    messages: tuple[Message, ...]
    answer: str
    reasoning: str
    wrong: str


@dataclass(frozen=True)
class Shown:
    """One example from its first question to its result; prints itself."""

    key: str
    said: tuple[Said, ...]
    result: Result | None

    def __str__(self) -> str:
        parts = []
        for number, one in enumerate(self.said, 1):
            parts.append(f"== {number}. {one.node}{f', repair {one.turn}' if one.turn else ''} ==")
            parts += [f"[{message.role}]\n{message.content}\n" for message in one.messages]
            parts.append(f"[answer]\n{one.answer}\n" + (f"[of no use] {one.wrong}\n" if one.wrong else ""))
        return "\n".join([*parts, f"== {self.key} ==", self._outcome()])

    __repr__ = __str__

    def _outcome(self) -> str:
        if self.result is None:
            return "no result yet"
        if self.result.payload is None:
            return f"failed: {self.result.reason}"
        return json.dumps(self.result.payload, ensure_ascii=False, indent=1)

    def _repr_html_(self) -> str:
        parts = [f"<b>{text(self.key)}</b>"]
        for one in self.said:
            sent = "".join(f"<p><i>{text(m.role)}</i></p>{whole(m.content)}" for m in one.messages)
            wrong = f"<p>of no use: {text(one.wrong)}</p>" if one.wrong else ""
            parts.append(
                f"<details><summary>{text(one.node)}{f', repair {one.turn}' if one.turn else ''}</summary>{sent}"
                f"<p><i>answer</i></p>{whole(one.answer)}{wrong}</details>"
            )
        if self.result is None or self.result.payload is None:
            return "".join([*parts, whole(self._outcome())])
        everything = f"<details><summary>the whole result</summary>{whole(self._outcome())}</details>"
        return "".join([*parts, f"<p>{text(_short(self.result.payload), 2000)}</p>", everything])


class Run:
    """A run that is on disk. It is read anew each time, so it also shows a run that is still under way.

    Attributes:
        id: its name.
        report: how the start that made this object ended; None for one that was opened.
    """

    def __init__(self, run_id: str, settings: Settings, report: RunReport | None = None) -> None:
        self.id, self.settings, self.report = run_id, settings, report

    def reader(self) -> closing[RunReader]:
        """The run's file, to be used in a `with`."""
        return closing(find_run(self.settings.home, self.id))

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """What it was of: graph, data, model, command, settings and more, by name."""
        with self.reader() as reader:
            return reader.info()

    @property
    def counts(self) -> Counts:
        """Examples, calls and tokens in numbers."""
        with self.reader() as reader:
            return reader.counts()

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.settings.home / "runs" / self.id

    @property
    def complete(self) -> bool:
        """Whether all examples asked for by this start are done; of a run that was opened, whether none failed."""
        return self.counts.failed == 0 if self.report is None else self.report.exit_code == 0

    @property
    def results(self) -> Results:
        """What came of every example."""
        return Results(self)

    @property
    def calls(self) -> Calls:
        """Every call."""
        return Calls(self, {})

    @property
    def cost(self) -> Cost:
        """What the calls took."""
        c = self.counts
        tokens, dollars = sums(c.tokens_in, c.tokens_out, c.unmetered, c.sent), spent(c.cost, c.unpriced, c.sent)
        told = f"{c.calls:,} calls, {tokens}, {dollars}"
        return Cost(c.calls, c.hits + c.joined, c.tokens_in, c.tokens_out, c.cost, c.unmetered, c.unpriced, told)

    @property
    def answers(self) -> str:
        """How many answers were usable, and why the others were not."""
        with self.reader() as reader:
            return judged(reader.counts().usable, reader.unusable())

    @property
    def metrics(self) -> dict[str, float]:
        """Numbers that the run's last node measured, by name."""
        with self.reader() as reader:
            return {one.name: one.value for one in reader.metrics()}

    def show(self, example: str) -> Shown:
        """An example's calls, with their messages and answers, and its result.

        Args:
            example: its key (test/A1), or the user or item it is of.

        Raises:
            UnknownNameError: the run has no such example.
        """
        with self.reader() as reader:
            named = [{"example": example}] if "/" in example else [{"user": example}, {"item": example}]
            found = next((calls for one in named if (calls := list(reader.calls(**one)))), [])
            result = reader.result(found[0]["example"] if found and found[0]["example"] else example)
            if not found and result is None:
                result = self.results[example]
            said = tuple(_said(reader, call) for call in found)
        return Shown(result.key if result else example, said, result)

    def __repr__(self) -> str:
        c = self.counts
        return f"<{self.id}: {c.done:,} done, {c.failed:,} failed, {self.cost}>"

    def _repr_html_(self) -> str:
        c = self.counts
        told = {
            "graph": self.info["graph"],
            "data": self.info["data"],
            "model": self.info["model"],
            "examples": f"{c.done:,} done, {c.failed:,} failed",
            "answers": self.answers,
            "cost": str(self.cost),
        }
        return facts(self.id, told) + self.results._repr_html_()


def open_run(name: str = "latest", *, settings: Settings | None = None) -> Run:
    """A recorded run.

    Args:
        name: its id, an unmistakable beginning of it, or "latest".
        settings: home folder; read from WHYREC_* and whyrec.toml if not given.

    Raises:
        UnknownNameError, UsageError: there is none, or several begin like that.
    """
    settings = settings or read_settings()
    with closing(find_run(settings.home, name)) as found:
        return Run(found.id, settings)


def list_runs(*, settings: Settings | None = None) -> Sequence[Run]:
    """All recorded runs, the latest first; damaged ones are left out."""
    settings = settings or read_settings()
    return [Run(info.id, settings) for info in listed(settings.home)]


def _said(reader: RunReader, call: Mapping[str, Any]) -> Said:
    sent = asked(reader, int(call["id"])).request.messages
    return Said(call["node"], call["turn"], sent, call["answer"], call["reasoning"], call["unreadable"])


def as_pandas(frame: pl.DataFrame) -> Any:
    """A pandas.DataFrame, by way of plain lists: pyarrow is not needed.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError("pandas is not installed: pip install pandas, or use to_polars().") from None
    return pandas.DataFrame(frame.to_dict(as_series=False))


def _short(payload: Mapping[str, Any]) -> str:
    """What a result says where it has a text of its own, else its fields: numbers rounded, empty ones left out."""
    said = payload.get("text")
    if isinstance(said, str) and said:
        return said
    told = {name: _rounded(value) for name, value in payload.items() if value not in ("", [], {}, None)}
    return json.dumps(told, ensure_ascii=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value
