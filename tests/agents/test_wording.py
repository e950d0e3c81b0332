"""A run in other words: edited copies of prompts take their places, seeds draw other samples."""

from __future__ import annotations

from typing import Any

import pytest

import prompts
from agents import pulse
from agents.wording import STRIDE, Wording, check, read_edited
from whyrec.errors import UsageError
from whyrec.llm.model import About, LanguageModel, Reply, Request, TokenScores
from whyrec.llm.wrappers.cached import request_digest
from whyrec.records import Event, Item

HISTORY = (Event(Item(1, "A", "Warm socks")), Event(Item(2, "B", "Trail map")))
LIKES = "Likes warmth and walks: the socks and the map speak for a next walk, and for something warm to wear on it."
HOUSE = prompts.load("pulse/base_reason")


class Seen:
    """Answers a reason and keeps what it was asked."""

    name, revision = "seen", ""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers = ["nonsense", f'{{"text": "{LIKES}"}}']

    async def complete(self, request: Request) -> list[Reply]:
        self.requests.append(request)
        return [Reply(self.answers[min(len(self.requests), 2) - 1], sample=n) for n in request.samples]

    async def score(self, request: Request, continuations: Any) -> list[TokenScores]:
        self.requests.append(request)
        return [TokenScores(text, (-1.0,)) for text in continuations]

    async def close(self) -> None: ...


def edited(change: str = "", to: str = "", text: str = HOUSE.text) -> prompts.Prompt:
    assert not change or change in text
    return prompts.parse(text.replace(change, to) + "\nSay it in rhyme.")


def worded(seen: Seen, **given: Any) -> LanguageModel:
    return Wording(**given).around(seen)


async def test_the_edited_copy_is_asked_with_the_same_blanks_and_repairs_follow_it() -> None:
    seen, copy = Seen(), edited("max_tokens: 320", "max_tokens: 99")
    llm = worded(seen, prompts={copy.name: copy})
    found = await pulse.base_reason(llm, about=About(node="reason"), similar=(), history=HISTORY)
    first, repair = seen.requests
    assert found.text == LIKES
    assert "Say it in rhyme." in first.messages[-1].content and "Warm socks" in first.messages[-1].content
    assert first.sampling.max_tokens == 99
    assert (first.about.prompt_digest, first.about.prompt_text) == (copy.digest, copy.text)
    assert repair.messages[: first.about.rendered] == first.messages and len(repair.messages) == len(first.messages) + 2
    assert repair.about.turn == 1 and repair.about.prompt_digest == copy.digest


async def test_other_prompts_and_sampling_set_by_an_agent_stay() -> None:
    seen, copy = Seen(), edited()
    llm = worded(seen, prompts={copy.name: copy})
    seen.answers[0] = seen.answers[1]
    await pulse.rationale(llm, history=HISTORY, item=HISTORY[0].item)
    assert "rhyme" not in seen.requests[0].messages[-1].content
    choose = prompts.load("pulse/choose")
    other = prompts.parse(choose.text.replace("max_tokens: 4", "max_tokens: 7") + "\nQuickly.")
    llm = worded(seen, prompts={"pulse/choose": other})
    await pulse.choose(llm, ("A", "B"), about=About(), history=HISTORY, options=[e.item for e in HISTORY])
    one_token, scored = seen.requests[-2:]
    assert "Quickly." in one_token.messages[-1].content and one_token.sampling.max_tokens == 1
    assert "Quickly." in scored.messages[-1].content and scored.sampling.max_tokens == 7


async def test_a_seed_draws_other_samples_which_come_back_under_their_own_numbers() -> None:
    seen = Seen()
    seen.answers = [seen.answers[1]] * 2
    replies = []
    for seed in (0, 3):
        llm = worded(seen, seed=seed)
        replies.append(await llm.complete(pulse.base_reason.request(2, About(), {"similar": (), "history": HISTORY})))
    old, new = seen.requests
    assert (old.samples, new.samples) == ((0, 1), (3 * STRIDE, 3 * STRIDE + 1))
    assert request_digest(old, 0) != request_digest(new, 3 * STRIDE)
    assert [[r.sample for r in each] for each in replies] == [[0, 1], [0, 1]]


def test_an_ordinary_run_has_nothing_around_its_model() -> None:
    seen = Seen()
    assert Wording().around(seen) is seen
    for seed in (-1, 10_000):
        with pytest.raises(UsageError, match="whole number"):
            Wording(seed=seed)


@pytest.mark.parametrize(
    ("change", "to", "words"),
    [
        ("name: pulse/base_reason", "name: pulse/rationale", "its name is 'pulse/rationale'"),
        ("answer: Reason", "answer: Rationale", "its answer type is 'Rationale', not 'Reason'"),
        ("format: json", "format: text", "its format is 'text'"),
        ("variables:\n", "variables:\n  wish: what is wished\n", "nobody fills its wish"),
    ],
)
def test_a_copy_that_does_not_fit_is_refused(change: str, to: str, words: str) -> None:
    text = HOUSE.text + ("\n{{ wish }}" if "wish" in to else "")
    with pytest.raises(UsageError, match=words):
        check(HOUSE, edited(change, to, text))


def test_a_copy_is_read_from_a_file(tmp_path: Any) -> None:
    path = tmp_path / "mine.md"
    path.write_text(edited().text)
    assert read_edited(path).digest == edited().digest
    with pytest.raises(UsageError, match=r"whyrec prompts show NAME > FILE"):
        read_edited(tmp_path / "none.md")
