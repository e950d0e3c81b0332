"""In whose words a model is asked: edited copies of prompts in the house's place, and which samples are drawn.

Agents are constants and say what their prompts say. A run that tries other words puts `Reworded` around each model it
asks: every request carries the name of its prompt and the blanks that filled it, so the same blanks are rendered by
the edited copy, and the trace records that version. Nothing else knows of it (docs/decisions/0005).

A model held against itself needs samples of its own, or the cache gives both sides one answer: `seed` moves the
indices of all samples, which are part of the cache's key and, with a prompt's own seed, of what a server draws from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import prompts
from prompts import Prompt, versions
from whyrec.errors import UsageError
from whyrec.llm.model import LanguageModel, Reply, Request, TokenScores
from whyrec.llm.wrappers.wrapper import Wrapper

STRIDE = 100_000  # sample indices between two seeds
MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Wording:
    """How a run asks.

    Attributes:
        prompts: edited copies by the name of the house's prompt each takes the place of.
        seed: which samples; 0 for those of every ordinary run.
        standing: names of copies that are there for any run: one that does not use such a prompt leaves it aside.
    """

    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    seed: int = 0
    standing: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what no run could be made with.

        Raises:
            UsageError: a copy does not fit its original, or the seed is none.
        """
        if not 0 <= self.seed < MOST_SEEDS:
            raise UsageError(f"A seed is a whole number from 0 to {MOST_SEEDS - 1}, not {self.seed}.")
        for name, prompt in self.prompts.items():
            check(prompts.load(name), prompt)

    def of_run(self, used: Collection[str]) -> Wording:
        """Without standing copies of prompts that a run does not use."""
        kept = {name: prompt for name, prompt in self.prompts.items() if name in used or name not in self.standing}
        return replace(self, prompts=kept)

    @property
    def plain(self) -> bool:
        """Whether it asks as every ordinary run does."""
        return not self.prompts and not self.seed

    def around(self, llm: LanguageModel) -> LanguageModel:
        """The model, asked in these words."""
        return llm if self.plain else Reworded(llm, self)


def check(house: Prompt, edited: Prompt) -> None:
    """Whether an edited copy can take the place of the house's prompt.

    Raises:
        UsageError: it is of another name, asks for another answer, or has a blank that nobody fills.
    """
    said = [
        f"its {what} is {mine!r}, not {theirs!r}"
        for what, mine, theirs in (
            ("name", edited.name, house.name),
            ("answer type", edited.answer, house.answer),
            ("format", edited.format, house.format),
        )
        if mine != theirs
    ]
    if unknown := sorted(edited.variables.keys() - house.variables.keys()):
        said.append(f"nobody fills its {', '.join(unknown)} (there are {', '.join(house.variables)})")
    if said:
        raise UsageError(f"An edited copy of {house.name} cannot take its place: {'; '.join(said)}.")


def as_asked(llm: LanguageModel, house: Prompt) -> Prompt:
    """The prompt in the words that this model is asked in: the edited copy where a run has one."""
    around: Any = llm
    while around is not None:
        if isinstance(around, Reworded):
            return around.edited.get(house.name, house)
        around = getattr(around, "inner", None)
    return house


def read_edited(path: Path) -> Prompt:
    """An edited copy from a file, or a version that was given a name ("cot_rec/describe@short").

    The front matter says which prompt it is of.

    Raises:
        UsageError: there is no such file, or it is not a usable copy of a prompt of the house.
        UnknownNameError: it calls itself by a name that no prompt has.
    """
    path = versions.file_of(str(path)) or path
    edited = prompts.parse(prompts.read_file(path), where=str(path))
    check(prompts.load(edited.name), edited)
    return edited


class Reworded(Wrapper):
    """Renders a request's blanks by the edited copy of its prompt, and asks for the samples of its seed.

    Sampling is the copy's wherever the agent asked with its prompt's own; what an agent sets itself (one token for a
    letter) stays.

    Args:
        inner: the model, with all that is around it.
        wording: how to ask.

    Attributes:
        edited: copies by the name of the house's prompt.
    """

    def __init__(self, inner: LanguageModel, wording: Wording) -> None:
        super().__init__(inner)
        self.edited, self._first = wording.prompts, wording.seed * STRIDE
        self._sampling = {name: prompts.load(name).sampling for name in self.edited}

    async def complete(self, request: Request) -> list[Reply]:
        """Ask in other words; samples are numbered as they were asked for."""
        told = self._told(request)
        if not self._first:
            return await self.inner.complete(told)
        replies = await self.inner.complete(replace(told, samples=tuple(self._first + n for n in told.samples)))
        return [replace(reply, sample=reply.sample - self._first) for reply in replies]

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        return await self._inner_score(self._told(request), continuations)

    def _told(self, request: Request) -> Request:
        about = request.about
        edited = self.edited.get(about.prompt)
        if edited is None or about.blanks is None:
            return request
        blanks = {name: about.blanks[name] for name in edited.variables}
        messages = edited.render(**blanks)
        plain = request.sampling == self._sampling[about.prompt]
        return replace(
            request,
            messages=(*messages, *request.messages[about.rendered :]),
            sampling=edited.sampling if plain else request.sampling,
            about=replace(
                about,
                prompt_digest=edited.digest,
                prompt_text=edited.text,
                blanks=blanks,
                rendered=len(messages),
            ),
        )
