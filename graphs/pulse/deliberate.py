"""Which thoughts of a level are worth growing: the deliberate search of Tree of Thoughts (Yao et al. 2023; spec 3.d).

PULSE grows every thought and judges leaves alone, so nothing here happens with `prune=none`. With `value` the model
gives each thought a number on its own, with `vote` it compares those of a level and names the best; either is asked
for several times (`judgements`), and the best `beam` thoughts are refined further. Breadth-first, as in the text tasks
of that paper. Judging sees the history and the thoughts, and no more than refining does: neither target nor candidates.

A value is the mean of a thought's judgements; a ballot gives its k-th best thought 1/k. Of equal texts the first stays.
How many calls that takes follows from widths and beam alone (`Search`), so it is known before anything is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agents import pulse as agents
from agents.agent import AnswerError
from graphs.pulse.tree import Thought
from graphs.shared.gather import gather
from whyrec.errors import UsageError
from whyrec.llm.model import About, LanguageModel
from whyrec.records import Event

How: TypeAlias = Literal["none", "value", "vote"]
PROMPTS = {"value": agents.value.prompt_name, "vote": agents.vote.prompt_name}
_WIDEST, _MOST = 20, 30  # thoughts kept of a level, and compared by one ballot


@dataclass(frozen=True)
class Judged:
    """What a level's thoughts came to.

    Attributes:
        worth: thought number -> how good it is; the highest is the best.
        missing: judgements that could not be read.
    """

    worth: dict[int, float]
    missing: int = 0


@dataclass(frozen=True)
class Search:
    """How a tree is grown, and what that takes.

    Attributes:
        widths: children per thought, level by level.
        how: by what a level is pruned; "none" grows every thought.
        beam: thoughts of a level that are refined further.
        judgements: samples of each judgement.
        leaves: whether the last level is judged too (the selector "judged").
    """

    widths: tuple[int, ...] = ()
    how: How = "none"
    beam: int = 1
    judgements: int = 3
    leaves: bool = False

    @property
    def parents(self) -> tuple[int, ...]:
        """Thoughts refined at each level: (1, 3) for widths (3, 3) and no pruning."""
        found: list[int] = []
        kept = 1
        for width in self.widths:
            found.append(kept)
            kept = kept * width if self.how == "none" else min(self.beam, kept * width)
        return tuple(found)

    @property
    def born(self) -> tuple[int, ...]:
        """Thoughts made at each level, the base reason first: (1, 3, 9)."""
        return (1, *(n * width for n, width in zip(self.parents, self.widths, strict=True)))

    def is_judged(self, depth: int, thoughts: int) -> bool:
        """Whether so many thoughts of a level are judged: where not all of them go on, and leaves where wanted."""
        if self.how == "none" or not depth:
            return False
        return thoughts > 1 and self.leaves if depth == len(self.widths) else thoughts > self.beam

    @property
    def judging(self) -> int:
        """Calls that judge, if every thought can be read."""
        levels = [n for depth, n in enumerate(self.born) if self.is_judged(depth, n)]
        return self.judgements * (sum(levels) if self.how == "value" else len(levels))

    def check(self) -> None:
        """Refuse what makes no search.

        Raises:
            UsageError: numbers out of range, or nothing that judges leaves.
        """
        for name, most in (("beam", _WIDEST), ("judgements", _WIDEST)):
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(f"Option {name} is between 1 and {most}, not {getattr(self, name)}.")
        if self.leaves and self.how == "none":
            raise UsageError("The selector judged takes the model's own judgement: add prune=value or prune=vote.")
        voted = [n for depth, n in enumerate(self.born) if self.how == "vote" and self.is_judged(depth, n)]
        if max(voted, default=0) > _MOST:
            raise UsageError(
                f"A ballot compares at most {_MOST} reasons, but a level would have {max(voted)}. Take a smaller beam "
                "or smaller widths, or prune=value."
            )


async def judge(
    llm: LanguageModel, search: Search, thoughts: Sequence[Thought], numbers: Sequence[int], **told: Any
) -> Judged:
    """Have the thoughts with these numbers judged.

    Args:
        llm: who judges: the model that refines.
        search: how, and how often.
        thoughts: of the tree.
        numbers: which of them.
        told: `about` (where the calls come from) and `history` (the events shown).

    Raises:
        AnswerError: not one judgement can be read.
        ModelError: the model did not answer.
    """
    ask = _values if search.how == "value" else _ballots
    return await ask(llm, search.judgements, thoughts, numbers, **told)


def best(judged: Judged, thoughts: Sequence[Thought], beam: int) -> tuple[int, ...]:
    """The numbers of the thoughts to go on with, ascending: those worth most, equal texts once, earlier ones first."""
    seen: set[str] = set()
    again: set[int] = set()
    for number in sorted(judged.worth):
        text = thoughts[number].text
        again |= {number} if text in seen else set()
        seen.add(text)
    order = sorted(judged.worth, key=lambda n: (n in again, -judged.worth[n], n))
    return tuple(sorted(order[:beam]))


async def _values(
    llm: LanguageModel,
    judgements: int,
    thoughts: Sequence[Thought],
    numbers: Sequence[int],
    *,
    about: About,
    history: Sequence[Event],
) -> Judged:
    """Every thought alone; one that nobody could judge is worth less than any other."""
    asks = [
        agents.value.many(
            llm, judgements, about=about, least=0, history=history, reasons=[{"id": 1, "text": thoughts[n].text}]
        )
        for n in numbers
    ]
    found = await gather(asks)
    worth = {
        n: sum(answer.values[0].value for answer in samples) / len(samples) if len(samples) else -1.0
        for n, samples in zip(numbers, found, strict=True)
    }
    if max(worth.values()) < 0:
        raise AnswerError(found[0].lost[0])
    return Judged(worth, sum(samples.missing for samples in found))


async def _ballots(
    llm: LanguageModel,
    judgements: int,
    thoughts: Sequence[Thought],
    numbers: Sequence[int],
    *,
    about: About,
    history: Sequence[Event],
) -> Judged:
    """All of them at once, numbered from 1."""
    shown = [{"id": place, "text": thoughts[n].text} for place, n in enumerate(numbers, 1)]
    samples = await agents.vote.many(llm, judgements, about=about, history=history, reasons=shown)
    won = dict.fromkeys(numbers, 0.0)
    for ballot in samples:
        for place, named in enumerate(ballot.best, 1):
            won[numbers[named - 1]] += 1 / place
    return Judged(won, samples.missing)
