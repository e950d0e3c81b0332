"""What a run is about to take, in numbers and in a paragraph."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from graphs.engine.estimate import Estimate
from graphs.engine.job import Job
from whyrec.api.shown import cells, text
from whyrec.runs.amounts import span


@dataclass(frozen=True)
class Expected(Estimate):
    """What a run is about to take; `str` of it is the paragraph that `whyrec estimate` prints.

    Attributes:
        graph: what is run.
        data: over which data.
        asked: the models in words, and what is not as in an ordinary run: roles, edited prompts, a seed.
    """

    graph: str = ""
    data: str = ""
    asked: str = ""

    def __str__(self) -> str:
        what = f"{self.graph} over {self.data}"
        if not self.examples:
            return f"{what}: all {self.settled:,} examples are settled, nothing to ask."
        dollars = self.dollars
        price = (
            "at a price nobody wrote down" if dollars is None else "free" if dollars == 0 else f"about ${dollars:,.2f}"
        )
        before = f" ({self.settled:,} more are settled)" if self.settled else ""
        return (
            f"{what} by {self.asked}: {self.examples:,} examples{before}, about {self.calls:,} calls (at most "
            f"{self.most:,}), about {self.tokens_in:,} tokens in and {self.tokens_out:,} out, {price}, about "
            f"{span(self.seconds)} ({self.basis}; {self._rests_on()})."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers for programs, the dollars computed (None where the price is not known)."""
        told = asdict(self)
        return {**{one.name: told[one.name] for one in fields(Estimate)}, "dollars": self.dollars}

    def _repr_html_(self) -> str:
        paragraph = f"<p>{text(self, len(str(self)))}</p>"
        rows = [(one.name, f"{one.calls:,}", f"{one.tokens_in:,}", f"{one.tokens_out:,}") for one in self.nodes]
        return paragraph + (cells(("node", "calls", "tokens in", "tokens out"), rows) if rows else "")

    def _rests_on(self) -> str:
        if self.compared:
            took = f"scaled to what the model took for {self.compared} settled ones"
            if not self.metered:
                took = f"calls {took}, tokens not: its server did not count them"
            return f"calls and tokens as {self.sampled} sampled examples take, {took}"
        return (
            f"calls and tokens as {self.sampled} sampled examples take with answers of `extractive`: a model that says "
            f"more takes more, which the estimate knows once a few users are done"
        )


def expected_of(job: Job, found: Estimate) -> Expected:
    """The estimate of a job, with what it is of."""
    told = {one.name: getattr(found, one.name) for one in fields(Estimate)}
    return Expected(**told, graph=job.flow.name, data=job.identity.data, asked=_asked(job))


def _asked(job: Job) -> str:
    roles = "".join(f", {role} by {model.name}" for role, model in job.models.roles.items())
    words = "".join(f", {name} in the words of {p.digest[:8]}" for name, p in job.wording.prompts.items())
    return f"{job.model.name}{roles}{words}{f', seed {job.wording.seed}' if job.wording.seed else ''}"
