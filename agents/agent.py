"""Who answers: a prompt and the type of its answer. This is the one place where a model is called.

`await agent(llm, about=..., **blanks)` renders the prompt, asks, and reads the answer. If the answer cannot be read, or
fails the agent's own check, the model is shown its answer and what is wrong with it, and asked again, `repairs` times
at most; `About.turn` counts that in the trace. After that `AnswerError` says why.

`agent.many` asks for several independent samples at once. Each is read and repaired alone, and one that stays unusable
takes none of the others with it: the caller gets those there are, and learns how many are missing and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic

import prompts
from agents import usable
from agents.answers import AnswerT, Misread, answer_format, echoes, read_reply
from agents.domain import domain_of
from agents.narrowed import narrowed
from agents.wording import as_asked
from prompts.neutral import neutralise_answer
from prompts.prompt import DOMAIN
from whyrec.llm.model import About, AnswerFormat, LanguageModel, Message, Refused, Reply, Request, Unusable
from whyrec.llm.reasoning import cut_thinking
from whyrec.records import Domain

Check = Callable[[AnswerT, Mapping[str, Any]], Unusable | str | None]
Among = Callable[[Mapping[str, Any]], Mapping[str, Sequence[int]]]
Mask = Callable[[str, Mapping[str, Any]], str]
_SHOWN = 4000  # characters of a wrong answer that the model is shown again
_SHOWN_OF_A_LOOP = 200
_ROUND = ("loops", "repeats", "cut")  # reasons of answers that went on and on
_WARMER = 0.7  # temperature of a repair


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
        check: looks at an answer and the blanks; what is wrong, or None. What holds for every answer, and what is
            declared with its type, is looked at before (`agents.usable`).
        among: of the blanks: list of the answer -> the ids that its entries speak of, each once; the schema allows no
            others.
        mask: of a text and the blanks: the text without the name that has to be hidden in it.
    """

    prompt_name: str
    answer: type[AnswerT]
    repairs: int = 1
    check: Check[AnswerT] | None = None
    among: Among | None = None
    mask: Mask | None = None

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
        instructions = as_asked(llm, self.prompt).instructions
        limit = self.prompt.sampling.max_tokens
        reading = _Reading(lambda reply: self._read(reply, request, blanks, instructions), limit)
        request = self.request(n, about or About(), blanks, domain_of(llm), first=first, wrong=reading.wrong)
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

    def request(
        self,
        n: int,
        about: About,
        blanks: Mapping[str, Any],
        domain: Domain | None = None,
        *,
        first: int = 0,
        wrong: Callable[[Reply], Unusable | None] | None = None,
    ) -> Request:
        """The first question, as it will be asked about data of this domain; `wrong` judges a reply."""
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
            repairs=self.repairs,
            wrong=wrong,
        )
        shape = self.format if self.among is None else narrowed(self.format, self.among(blanks))
        return Request(messages, prompt.sampling, tuple(range(first, first + n)), shape, about=about)

    async def _settle(
        self, llm: LanguageModel, first: Request, reply: Reply, reading: _Reading[AnswerT]
    ) -> tuple[AnswerT | AnswerError, int]:
        """(what one sample comes to, the turns it took): while it is wrong and repairs are left, ask again.

        A server that refuses the repair (the prompt is longer by the wrong answer) leaves the sample unusable.
        """
        for turn in range(1, self.repairs + 2):
            wrong = reading.wrong(reply)
            if wrong is None:
                return reading.answer(reply), turn
            if turn > self.repairs or wrong.final:
                return AnswerError(f"{self._unusable(llm)}: {wrong.said} (turn {turn})."), turn
            request = replace(first, samples=(reply.sample,))
            try:
                (reply,) = await llm.complete(self.again(request, first, reply, wrong, turn))
            except Refused as error:
                return AnswerError(f"{self._unusable(llm)}: {wrong.said}; asking again was refused: {error}"), turn
        raise AssertionError("unreachable: the last turn returns")

    def again(self, request: Request, first: Request, reply: Reply, wrong: Unusable, turn: int) -> Request:
        """The question with a wrong answer and what is wrong with it, to be asked as this turn.

        It is asked at a temperature of at least 0.7: a model that went round in a loop gives the same answer once more
        where its likeliest word is always taken. Little is shown of what went round: it would go on with it.
        """
        keep = tuple(self.answer.model_fields) if self.format.kind == "tags" else ()
        most = _SHOWN_OF_A_LOOP if wrong.reason in _ROUND else _SHOWN
        shown = neutralise_answer(reply.text[: 4 * most], keep)[:most] or "(nothing)"
        told = neutralise_answer(wrong.said, keep)  # it may quote the answer
        ask = Message("user", f"This answer cannot be used: {told}. Give the whole corrected answer and nothing else.")
        messages = (*first.messages, Message("assistant", shown), ask)
        sampling = replace(first.sampling, temperature=max(_WARMER, first.sampling.temperature))
        return replace(request, messages=messages, sampling=sampling, about=replace(first.about, turn=turn))

    def _unusable(self, llm: LanguageModel) -> str:
        return f"{self.prompt_name} got no usable answer from {llm.name}"

    def _read(self, reply: Reply, request: Request, blanks: Mapping[str, Any], instructions: str) -> AnswerT:
        """The answer in a reply; a complete JSON object counts even if the limit cut what follows it."""
        kind, limit = self.format.kind, request.sampling.max_tokens
        if reply.finish_reason == "filtered":
            raise Misread("the server's content filter withheld it", "withheld")
        cut_off = (
            cut_thinking(reply, limit) or f"it was cut off at the limit of {limit} tokens, so it must be much shorter"
        )
        if reply.finish_reason == "length" and kind != "json":
            raise Misread(cut_off, "cut")
        shown = usable.shown(self.answer, kind, instructions)
        try:
            answer, _ = read_reply(self.answer, kind, reply, echoes=echoes(self.answer, kind, instructions))
        except Misread as error:
            if reply.finish_reason == "length":
                raise Misread(cut_off, "cut") from error
            raise Misread(str(error), shown.kind if error.reason == "example" else error.reason) from None
        mask = self.mask
        found = usable.flaw(answer, shown, None if mask is None else lambda text: mask(text, blanks))
        wrong = found or (self.check and self.check(answer, blanks))
        if wrong:
            raise Misread(wrong) if isinstance(wrong, str) else Misread(wrong.said, wrong.reason)
        return answer


class _Reading(Generic[AnswerT]):
    """Reads each reply once, for the agent that wants the answer and for the trace that wants to know what was wrong.

    Args:
        read: the answer in a reply, or `Misread`.
        limit: tokens of an answer.
    """

    def __init__(self, read: Callable[[Reply], AnswerT], limit: int) -> None:
        self._read, self._limit = read, limit
        self._known: dict[int, tuple[Reply, AnswerT | Misread]] = {}

    def wrong(self, reply: Reply) -> Unusable | None:
        """Why a reply cannot be used, None where it can; a thought that never ended would not end again."""
        found = self._found(reply)
        if not isinstance(found, Misread):
            return None
        final = reply.finish_reason == "filtered" or cut_thinking(reply, self._limit) != ""
        return Unusable(found.reason, str(found), final)

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
