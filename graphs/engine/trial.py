"""The first answers of a run, looked at before many are paid for: a model that cannot do it is stopped early.

A run begins with few questions and few examples in flight. Once ten answers can be used, questions are no longer held
back; once ten examples are done, the trial is over. Once most of the first twenty questions, or of the first twenty
examples, have come to nothing, repairs included, the run stops and says what the model does, with two of its answers.
What is done stays done, and the same command goes on where it ended.

Questions are counted beside examples because an example may ask many: the first twenty descriptions tell as much as
twenty examples of ten each. An answer that can be repaired has not come to nothing, so a model that needs to be told
once is not stopped. Whatever a model does, at most forty calls are spent on questions that came to nothing.

Unusual: where nothing is in flight any more and somebody waits (a question may end without a verdict, by an error),
one more goes ahead, so that no run can hang here.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prompts.neutral import neutralise
from whyrec.llm.model import REASONS, About, LanguageModel, Reply, Request, Unfit, Unusable
from whyrec.llm.wrappers.wrapper import Wrapper

FIRST: Final = 20  # questions, and examples, that are looked at
TRIED: Final = FIRST // 2  # of them may come to nothing; so many good ones end the trial
_CALLS: Final = 2 * FIRST  # that may come to nothing
_SHOWN, _LONGEST = 2, 200  # answers shown as evidence, characters of each


@dataclass(frozen=True)
class _Evidence:
    prompt: str
    why: str
    text: str


class Gate:
    """Lets the first few pass and holds the others back, until it is opened or some that passed are given back."""

    def __init__(self, most: int) -> None:
        self._left, self._inside, self._open = most, 0, False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, size: int = 1) -> None:
        """Wait for leave to begin something of this size; every `enter` is followed by a `leave`."""
        if not self._open and size and (self._waiting or self._left <= 0) and self._inside:
            mine = asyncio.get_running_loop().create_future()
            self._waiting.append(mine)
            await mine
        self._left -= size
        self._inside += 1

    def leave(self, back: int = 0) -> None:
        """It came to its end, and so much of it does not count."""
        self._inside -= 1
        self._left += back
        if self._left > 0 or not self._inside:
            self._next()

    def open(self) -> None:
        """Hold nobody back any more."""
        self._open = True
        while self._waiting:
            self._next()

    def _next(self) -> None:
        while self._waiting:
            mine = self._waiting.popleft()
            if not mine.done():  # else it was cancelled
                mine.set_result(None)
                return


class Trial:
    """Counts what becomes of a run's first questions and examples.

    Args:
        on: False to hold nothing back and to stop nothing.

    Attributes:
        verdict: why the run stops; "" where it does not.
    """

    def __init__(self, *, on: bool = True) -> None:
        self.verdict = ""
        self._good = self._bad = 0  # questions
        self._done = self._failed = 0  # examples
        self._reasons: Counter[str] = Counter()
        self._evidence: dict[str, _Evidence] = {}
        self._calls, self._examples = Gate(_CALLS), Gate(FIRST)
        self._asking = self._on = on
        if not on:
            self._calls.open()
            self._examples.open()

    async def begin_example(self) -> None:
        """Wait for leave to begin an example."""
        await self._examples.enter()

    def end_example(self, *, failed: bool | None) -> None:
        """An example is done, has failed for want of a usable answer, or (None) ended otherwise."""
        if failed is not None and self._on:
            self._done, self._failed = self._done + (not failed), self._failed + failed
            if self._failed > TRIED:
                self._stop(f"{self._failed} of the first {self._failed + self._done} examples got no usable answer")
            elif self._done >= TRIED:
                self._finish()
        self._examples.leave(back=failed is None)

    async def begin(self, about: About, samples: int) -> None:
        """Wait for leave to ask; a repair has it, because its question has.

        Raises:
            Unfit: the run stops.
        """
        await self._calls.enter(0 if about.turn else samples * (1 + about.repairs))
        if self.verdict:
            self._calls.leave()
            raise Unfit(self.verdict)

    def end(self, about: About, samples: int, replies: Sequence[Reply]) -> None:
        """What came of so many samples; replies lack those that got none."""
        back = 0 if about.turn else samples - len(replies)
        for reply in replies:
            assert about.wrong is not None
            back += self._noted(about, reply, about.wrong(reply))
        self._calls.leave(back * (1 + about.repairs))

    def _noted(self, about: About, reply: Reply, wrong: Unusable | None) -> bool:
        """Whether the answer is usable, once it is counted."""
        if self._asking and wrong is None:
            self._good += 1
            if self._good >= TRIED:
                self._asking = False
                self._calls.open()
        elif wrong is not None and self._on:
            self._reasons[wrong.reason] += 1
            said = neutralise(reply.text or reply.reasoning)[:_LONGEST]
            if len(self._evidence) < _SHOWN:
                self._evidence.setdefault(said, _Evidence(about.prompt, _why(wrong), said))
            self._bad += self._asking and (wrong.final or about.turn >= about.repairs)
            if self._asking and self._bad > TRIED:
                self._stop(f"{self._bad} of the first {self._bad + self._good} answers are of no use, repairs included")
        return wrong is None

    def _stop(self, what: str) -> None:
        does = " and ".join(REASONS[reason] for reason, _ in self._reasons.most_common(2))
        why = ", ".join(f"{times} x {reason}" for reason, times in self._reasons.most_common())
        shown = " and ".join(f"«{one.text}» ({one.prompt}: {one.why})" for one in self._evidence.values())
        self.verdict = (
            f"Stopped early: {what}. The model {does or 'gives no usable answer'} ({why}). It said, for example, "
            f"{shown or 'nothing'}. Take a model that is up to it (whyrec llm check MODEL tells beforehand), or go on "
            f"all the same with --keep-going (WHYREC_KEEP_GOING=1)."
        )
        self._finish()

    def _finish(self) -> None:
        self._on = self._asking = False
        self._calls.open()
        self._examples.open()


def _why(wrong: Unusable) -> str:
    """The reason and what is wrong in words, without the advice that is for the model."""
    return f"{wrong.reason}: {neutralise(wrong.said.partition(';')[0])[:_LONGEST]}"


class Watched(Wrapper):
    """A model in a trial."""

    def __init__(self, inner: LanguageModel, trial: Trial) -> None:
        super().__init__(inner)
        self._trial = trial

    async def complete(self, request: Request) -> list[Reply]:
        """Answer when the trial lets it.

        Raises:
            Unfit: the run stops.
        """
        about, samples = request.about, len(request.samples)
        if about.wrong is None:  # nobody judges the answer
            return await self.inner.complete(request)
        await self._trial.begin(about, samples)
        replies: list[Reply] = []
        try:
            replies = await self.inner.complete(request)
        finally:
            self._trial.end(about, samples, replies)
        return replies
