"""Retrying: what passes is asked again, within bounds; what does not is not."""

import asyncio

import pytest

from whyrec.llm.model import (
    BudgetSpent,
    Disconnected,
    LanguageModel,
    Message,
    Overloaded,
    Refused,
    Reply,
    Request,
    Scorer,
    ServerFault,
    TimedOut,
    TokenScores,
)
from whyrec.llm.wrappers.retrying import LONGEST_WAIT_S, Retrying

ASK = Request((Message("user", "?"),))


class Failing:
    """Raises the given errors in turn, then answers."""

    name, revision = "failing", "r1"

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.asked = list(errors), 0

    async def complete(self, request: Request) -> list[Reply]:
        self._raise()
        return [Reply("yes", sample=i) for i in request.samples]

    def _raise(self) -> None:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)

    async def close(self) -> None:
        self.closed = True


class Scoring(Failing):
    async def score(self, request, continuations):
        self._raise()
        return [TokenScores(text, (-1.0,)) for text in continuations]


class Naps(list):
    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


async def test_a_first_try_that_works_is_handed_on_as_it_is() -> None:
    inner, naps = Failing(), Naps()
    replies = [Reply("yes", sample=0)]
    assert await Retrying(inner, sleep=naps).complete(ASK) == replies
    assert inner.asked == 1 and not naps


@pytest.mark.parametrize("error", [TimedOut, ServerFault, Disconnected, Overloaded])
async def test_what_passes_is_asked_again_and_counted(error) -> None:
    inner, naps = Failing(error("1"), error("2")), Naps()
    (reply,) = await Retrying(inner, sleep=naps).complete(ASK)
    assert reply.attempts == 3 and inner.asked == 3 and len(naps) == 2


@pytest.mark.parametrize("error", [Refused("no"), BudgetSpent("spent"), ValueError("a bug")])
async def test_what_does_not_pass_is_not_asked_again(error) -> None:
    inner = Failing(error)
    with pytest.raises(type(error)) as raised:
        await Retrying(inner, sleep=Naps()).complete(ASK)
    assert raised.value is error and inner.asked == 1


async def test_a_refusal_after_a_fault_ends_the_attempts() -> None:
    inner = Failing(ServerFault("1"), Refused("no"), ServerFault("never"))
    with pytest.raises(Refused) as raised:
        await Retrying(inner, sleep=Naps()).complete(ASK)
    assert inner.asked == 2 and raised.value.attempts == 2


async def test_attempts_are_bounded_and_the_last_error_says_how_many() -> None:
    inner = Failing(*[TimedOut(str(i)) for i in range(20)])
    with pytest.raises(TimedOut, match="3") as raised:
        await Retrying(inner, attempts=4, sleep=Naps()).complete(ASK)
    assert inner.asked == 4 and raised.value.attempts == 4


async def test_one_attempt_is_one_attempt() -> None:
    inner = Failing(TimedOut("once"))
    with pytest.raises(TimedOut) as raised:
        await Retrying(inner, attempts=1, sleep=Naps()).complete(ASK)
    assert inner.asked == 1 and raised.value.attempts == 1


async def test_waits_grow_with_jitter_and_never_pass_the_cap() -> None:
    naps = Naps()
    for _ in range(30):
        await Retrying(Failing(*[TimedOut("x")] * 9), attempts=10, first_wait_s=0.5, sleep=naps).complete(ASK)
    for nth in range(9):
        longest = max(naps[nth::9])
        assert longest <= min(30.0, 0.5 * 2**nth) and longest > min(30.0, 0.5 * 2**nth) / 2
    assert len(set(naps)) > 200


async def test_retry_after_is_waited_for() -> None:
    naps = Naps()
    await Retrying(Failing(Overloaded("slow", retry_after=7.0)), first_wait_s=0.5, sleep=naps).complete(ASK)
    assert 7.0 <= naps[0] <= 7.5


async def test_a_retry_after_of_an_hour_is_handed_on_at_once() -> None:
    inner = Failing(Overloaded("quota", retry_after=LONGEST_WAIT_S + 1))
    with pytest.raises(Overloaded, match="quota"):
        await Retrying(inner, sleep=Naps()).complete(ASK)
    assert inner.asked == 1


async def test_a_hook_sees_each_further_send_and_may_end_them() -> None:
    seen = []

    def hook(request, error, continuations):
        seen.append((request, str(error), tuple(continuations)))
        if len(seen) == 2:
            raise BudgetSpent("enough")

    inner = Failing(TimedOut("1"), TimedOut("2"), TimedOut("3"))
    with pytest.raises(BudgetSpent, match="enough"):
        await Retrying(inner, before_retry=hook, sleep=Naps()).complete(ASK)
    assert seen == [(ASK, "1", ()), (ASK, "2", ())] and inner.asked == 2


async def test_cancelling_ends_the_waiting() -> None:
    inner = Failing(Overloaded("slow", retry_after=100.0))
    task = asyncio.create_task(Retrying(inner).complete(ASK))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inner.asked == 1


async def test_scores_are_retried_too_and_offered_only_by_scorers() -> None:
    inner = Scoring(TimedOut("1"))
    wrapper = Retrying(inner, sleep=Naps())
    assert await wrapper.score(ASK, ["a", "b"]) == [TokenScores("a", (-1.0,)), TokenScores("b", (-1.0,))]
    assert inner.asked == 2
    assert isinstance(wrapper, Scorer) and isinstance(wrapper, LanguageModel)
    assert not isinstance(Retrying(Failing()), Scorer)
    assert (wrapper.name, wrapper.revision) == ("failing", "r1")
    await wrapper.close()
    assert inner.closed
