"""What a workflow says of its results: what they are worth, example by example, and which texts they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions, need_corpus
from whyrec.data.split import SplitView
from whyrec.runs import Result


@dataclass(frozen=True)
class Worth:
    """One measure of the examples of a run.

    Attributes:
        name: of the measure.
        values: by the example's key; failed examples are not in it.
        better: "higher", "lower", or "" where neither is.
    """

    name: str
    values: Mapping[str, float]
    better: str = "higher"


@dataclass(frozen=True)
class Judged:
    """Results to be judged.

    Attributes:
        data: what they are about.
        options: of the workflow, as used.
        results: done and failed ones.
        home: the folder fitted embedders are kept in (`home/embedders`).
    """

    data: Corpus | Questions
    options: Any
    results: Sequence[Result]
    home: Path

    @property
    def corpus(self) -> Corpus:
        """The data as interactions."""
        return need_corpus(self.data)

    @property
    def view(self) -> SplitView:
        """The view whose targets the results are held against."""
        return SplitView(self.corpus, self.options.split)

    @property
    def done(self) -> list[tuple[Result, Mapping[str, Any]]]:
        """Results with their payloads."""
        return [(result, result.payload) for result in self.results if result.payload is not None]


Outcomes: TypeAlias = Callable[[Judged], list[Worth]]
Texts: TypeAlias = tuple[str, Callable[[Result, Mapping[str, Any]], Iterable[tuple[str, str]]]]
