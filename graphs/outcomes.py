"""What a workflow says of its results: what they are worth, example by example, and which texts they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions, need_corpus, need_questions
from whyrec.data.split import SplitView
from whyrec.records import Outcome
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
class Scored:
    """One measure of the examples of a run that a metric of `evals.metrics` makes of their outcomes.

    Attributes:
        metric: "ndcg@10", "mrr@10", "hr@1", "log_loss", "accuracy", "f1", "em", ...
        outcomes: by the example's key; failures are measured by nothing.
        name: of the measure; "" for the metric's.
    """

    metric: str
    outcomes: Mapping[str, Outcome]
    name: str = ""


def scored(outcomes: Mapping[str, Outcome], *metrics: str) -> list[Worth | Scored]:
    """The same outcomes by several metrics, the one that counts first."""
    return [Scored(name, outcomes) for name in metrics]


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
    def questions(self) -> Questions:
        """The data as questions."""
        return need_questions(self.data)

    @property
    def view(self) -> SplitView:
        """The view whose targets the results are held against."""
        return SplitView(self.corpus, self.options.split)

    @property
    def done(self) -> list[tuple[Result, Mapping[str, Any]]]:
        """Results with their payloads."""
        return [(result, result.payload) for result in self.results if result.payload is not None]


Outcomes: TypeAlias = Callable[[Judged], Sequence[Worth | Scored]]
Texts: TypeAlias = tuple[str, Callable[[Result, Mapping[str, Any]], Iterable[tuple[str, str]]]]
