"""Who answers: a prompt and the type of its answer. This is the one place where a model is called.

`await agent(llm, about=..., **blanks)` renders the prompt, asks, and reads the answer. If the answer cannot be read, or
fails the agent's own check, the model is shown its answer and what is wrong with it, and asked again, `repairs` times
at most; `About.turn` counts that in the trace. After that `AnswerError` says why.

`agent.many` asks for several independent samples at once. Each is read and repaired alone, and one that stays unusable
takes none of the others with it: the caller gets those there are, and learns how many are missing and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic

import prompts
from agents.answers import Answer, AnswerT, Misread, answer_format, echoes, read_reply
from agents.domain import domain_of
from agents.wording import as_asked
from prompts.neutral import neutralise_answer
from prompts.prompt import DOMAIN
from whyrec.llm.model import About, AnswerFormat, LanguageModel, Message, Refused, Reply, Request
from whyrec.llm.reasoning import cut_thinking
from whyrec.records import Domain

Check = Callable[[AnswerT, Mapping[str, Any]], str | None]
_SHOWN = 4000  # characters of a wrong answer that the model is shown again


class AnswerError(Exception):
    """A model did not give the answer asked for, repairs included. `reason` is a sentence for the run's record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Samples(Generic[AnswerT]):
    """Independent answers to one question.

    Attributes:
        answers: those that can be used, in the order of their sample indices.
        lost: why each of the others cannot, a sentence each.
        repairs: how often an answer was shown to the model and asked for again, over all samples.
    """

    answers: tuple[AnswerT, ...]
    lost: tuple[str, ...] = ()
    repairs: int = field(default=0, compare=False)

    def __iter__(self) -> Iterator[AnswerT]:
        return iter(self.answers)

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def missing(self) -> int:
        """How many of the samples asked for are not there."""
        return len(self.lost)


@dataclass(frozen=True)
class Agent(Generic[AnswerT]):
    """A prompt and its answer type.

    Attributes:
        prompt_name: the prompt.
        answer: the answer type (the prompt's front matter names the same one).
        repairs: how often a wrong answer is shown to the model and asked again.
        check: looks at an answer and the blanks; a sentence on what is wrong, or None.
    """

    prompt_name: str
    answer: type[AnswerT]
    repairs: int = 1
    check: Check[AnswerT] | None = None

    @cached_property
    def prompt(self) -> prompts.Prompt:
        """The prompt, loaded at the first use."""
        prompt = prompts.load(self.prompt_name)
        assert prompt.answer == self.answer.__name__, f"{prompt.name} asks for {prompt.answer}"
        return prompt

    @cached_property
    def format(self) -> AnswerFormat:
        """The shape asked for, computed once."""
        return answer_format(self.answer, self.prompt.format)

    async def __call__(self, llm: LanguageModel, *, about: About | None = None, **blanks: Any) -> AnswerT:
        """One answer.

        Raises:
            AnswerError: no readable answer after the repairs.
            ModelError: the model did not answer at all.
            UsageError: blanks are missing or unknown.
        """
        (answer,) = await self.many(llm, 1, about=about, **blanks)
        return answer

    async def many(
        self, llm: LanguageModel, n: int, *, about: About | None = None, first: int = 0, least: int = 1, **blanks: Any
    ) -> Samples[AnswerT]:
        """Independent samples, in one request where the server can; those that no repair makes usable are left out.

        Args:
            llm: whom to ask.
            n: samples wanted.
            about: where the call comes from.
            first: index of the first sample.
            least: how many have to be usable; 0 to look at what there is.
            blanks: of the prompt.

        Raises:
            AnswerError: fewer than `least` are usable.
            ModelError, UsageError: as above.
        """
        request = self.request(n, about or About(), blanks, domain_of(llm))
        known = echoes(self.answer, self.format.kind, as_asked(llm, self.prompt).instructions)
        reading = _Reading(lambda reply: self._read(reply, request, blanks, known))
        asked = replace(request.about, wrong=reading.wrong)
        request = replace(request, samples=tuple(range(first, first + n)), about=asked)
        answers: list[AnswerT] = []
        lost: list[str] = []
        turns = 0
        for reply in await llm.complete(request):
            found, turn = await self._settle(llm, request, reply, reading)
            turns += turn - 1
            if isinstance(found, AnswerError):
                lost.append(found.reason)
            else:
                answers.append(found)
        if len(answers) < least:
            some = f"{len(answers)} of {n} samples are usable, and {least} are needed; one that is not: "
            raise AnswerError(f"{some if n > 1 else ''}{lost[0]}")
        return Samples(tuple(answers), tuple(lost), turns)

    def request(self, n: int, about: About, blanks: Mapping[str, Any], domain: Domain | None = None) -> Request:
        """The first question, as it will be asked about data of this domain."""
        prompt = self.prompt
        if prompt.about_domain and DOMAIN not in blanks:
            blanks = {DOMAIN: domain or Domain(), **blanks}
        messages = prompt.render(**blanks)
        about = replace(
            about,
            agent=prompt.name,
            prompt=prompt.name,
            prompt_digest=prompt.digest,
            prompt_text=prompt.text,
            blanks=prompts.blanks_json(blanks),
            rendered=len(messages),
        )
        return Request(messages, prompt.sampling, tuple(range(n)), self.format, about=about)

    async def _settle(
        self, llm: LanguageModel, first: Request, reply: Reply, reading: _Reading[AnswerT]
    ) -> tuple[AnswerT | AnswerError, int]:
        """(what one sample comes to, the turns it took): while it is wrong and repairs are left, ask again.

        A server that refuses the repair (the prompt is longer by the wrong answer) leaves the sample unusable.
        """
        request = replace(first, samples=(reply.sample,))
        for turn in range(1, self.repairs + 2):
            try:
                return reading.answer(reply), turn
            except Misread as error:
                wrong = str(error)
            thinks_too_long = cut_thinking(reply, request.sampling.max_tokens) != ""  # and would again
            if turn > self.repairs or reply.finish_reason == "filtered" or thinks_too_long:
                return AnswerError(f"{self._unusable(llm)}: {wrong} (turn {turn})."), turn
            keep = tuple(self.answer.model_fields) if self.format.kind == "tags" else ()
            shown = neutralise_answer(reply.text[: 4 * _SHOWN], keep)[:_SHOWN] or "(nothing)"
            told = neutralise_answer(wrong, keep)  # it may quote the answer
            ask = Message(
                "user", f"This answer cannot be used: {told}. Give the whole corrected answer and nothing else."
            )
            messages = (*first.messages, Message("assistant", shown), ask)
            request = replace(request, messages=messages, about=replace(first.about, turn=turn))
            try:
                (reply,) = await llm.complete(request)
            except Refused as error:
                return AnswerError(f"{self._unusable(llm)}: {wrong}; asking again was refused: {error}"), turn
        raise AssertionError("unreachable: the last turn returns")

    def _unusable(self, llm: LanguageModel) -> str:
        return f"{self.prompt_name} got no usable answer from {llm.name}"

    def _read(self, reply: Reply, request: Request, blanks: Mapping[str, Any], known: tuple[Answer, ...]) -> AnswerT:
        """The answer in a reply; a complete JSON object counts even if the limit cut what follows it."""
        if reply.finish_reason == "filtered":
            raise Misread("the server's content filter withheld it")
        limit = request.sampling.max_tokens
        cut_off = (
            cut_thinking(reply, limit) or f"it was cut off at the limit of {limit} tokens, so it must be much shorter"
        )
        if reply.finish_reason == "length" and self.format.kind != "json":
            raise Misread(cut_off)
        try:
            answer, _ = read_reply(self.answer, self.format.kind, reply, echoes=known)
        except Misread as error:
            if reply.finish_reason == "length":
                raise Misread(cut_off) from error
            raise
        if self.check is not None and (wrong := self.check(answer, blanks)):
            raise Misread(wrong)
        return answer


class _Reading(Generic[AnswerT]):
    """Reads each reply once, for the agent that wants the answer and for the trace that wants to know what was wrong.

    Args:
        read: the answer in a reply, or `Misread`.
    """

    def __init__(self, read: Callable[[Reply], AnswerT]) -> None:
        self._read = read
        self._known: dict[int, tuple[Reply, AnswerT | Misread]] = {}

    def wrong(self, reply: Reply) -> str:
        """Why a reply cannot be used; "" where it can."""
        found = self._found(reply)
        return str(found) if isinstance(found, Misread) else ""

    def answer(self, reply: Reply) -> AnswerT:
        """The answer in a reply.

        Raises:
            Misread: there is none.
        """
        found = self._found(reply)
        if isinstance(found, Misread):
            raise found
        return found

    def _found(self, reply: Reply) -> AnswerT | Misread:
        found = self._known.get(id(reply))
        if found is None or found[0] is not reply:
            try:
                answer: AnswerT | Misread = self._read(reply)
            except Misread as error:
                answer = error
            found = self._known[id(reply)] = (reply, answer)
        return found[1]
