"""Choosing among lettered options, read from the probabilities of the letters (spec 1.4).

No text is generated: one token's log-probabilities over the allowed labels say how the model ranks the options. An
untuned model and a tuned one are read the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from agents.agent import Agent
from agents.answers import Answer
from agents.domain import domain_of
from prompts.lines import LETTERS
from whyrec.llm.labels import LabelReading, Way, read_labels
from whyrec.llm.model import About, LanguageModel, Request
from whyrec.records import Domain


class Choice(Answer):
    """The label of one option: what a prompt read by a `Chooser` asks for."""

    label: Annotated[str, Field(min_length=1, max_length=20, description="the label of the option, nothing else")]


@dataclass(frozen=True)
class Chooser:
    """A prompt that ends in a choice.

    Attributes:
        prompt_name: the prompt; its front matter names `Choice` and the format text.
        ways: how labels may be read, in this order; see `whyrec.llm.labels`.
    """

    prompt_name: str
    ways: tuple[Way, ...] = ("logprobs", "score", "answer")

    @cached_property
    def _agent(self) -> Agent[Choice]:
        return Agent(self.prompt_name, answer=Choice)

    async def __call__(
        self, llm: LanguageModel, labels: Sequence[str], *, about: About, prefix: str = "", **blanks: Any
    ) -> LabelReading:
        """Probabilities of the labels.

        Args:
            llm: the model.
            labels: distinct, such as "A" to "J" or ("Yes", "No").
            about: where the call comes from.
            prefix: text the assistant's turn already has (reasoning to be read out), "" for none.
            blanks: of the prompt.

        Raises:
            ModelError: the model did not answer, or can do none of the ways.
            UsageError: blanks are missing or unknown.
        """
        request = replace(self.request(about, domain_of(llm), **blanks), prefix=prefix)
        return await read_labels(llm, request, labels, ways=self.ways)

    def request(self, about: About, domain: Domain, /, **blanks: Any) -> Request:
        """What is asked, about data of this domain: also what a model is tuned on.

        Raises:
            UsageError: blanks are missing or unknown.
        """
        return self._agent.request(1, about, blanks, domain)


def letters(n: int) -> tuple[str, ...]:
    """The first n option letters."""
    assert 1 < n <= len(LETTERS), n
    return tuple(LETTERS[:n])
