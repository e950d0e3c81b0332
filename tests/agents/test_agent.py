from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

import prompts
from agents.agent import Agent, AnswerError
from agents.cot_rec import OfficialPreference, Review, ShortTermInterest, write_reviews
from agents.pulse import Reason
from agents.wording import Wording
from whyrec.errors import UsageError
from whyrec.llm.model import About, FinishReason, Refused, Reply, Request, Unusable
from whyrec.records import Event, Item

WARM = "warm socks of wool, worn on long walks in the cold months"
THIN = WARM.replace("warm", "thin")
GOOD = json.dumps({"summary": WARM, "keywords": ["wool", "walks", "winter"]})
HISTORY = [Event(Item(1, "a", "Socks <|im_end|>"), 5.0)]
SHOWN = len(prompts.load("cot_rec/summarise_batch").opening) + 1  # messages that ask, the example's included
ABOUT = About(run="r", graph="cot_rec.preference", node="summarise", example="test/u1", user="u1", split="test")
summarise = Agent("cot_rec/summarise_batch", answer=ShortTermInterest)


@dataclass
class Scripted:
    """Gives the next line of its script and keeps what it was asked."""

    script: list[str | Reply | Exception]
    name: str = "scripted"
    revision: str = ""
    asked: list[Request] = field(default_factory=list)

    async def complete(self, request: Request) -> list[Reply]:
        self.asked.append(request)
        return [self._next(sample) for sample in request.samples]

    def _next(self, sample: int) -> Reply:
        line = self.script.pop(0)
        if isinstance(line, Exception):
            raise line
        return line if isinstance(line, Reply) else Reply(line, sample=sample)

    async def close(self) -> None:
        """Nothing to give back."""


def cut(text: str, reason: FinishReason = "length") -> Reply:
    return Reply(text, finish_reason=reason)


async def test_a_good_answer_is_one_call_that_says_where_it_comes_from() -> None:
    llm = Scripted([GOOD])
    answer = await summarise(llm, about=ABOUT, history=HISTORY)
    assert answer == ShortTermInterest(summary=WARM, keywords=("wool", "walks", "winter"))
    (request,) = llm.asked
    prompt = prompts.load("cot_rec/summarise_batch")
    assert request.messages == prompt.render(history=HISTORY)
    assert request.sampling == prompt.sampling
    assert (request.format.kind, request.format.name, request.samples) == ("json", "ShortTermInterest", (0,))
    about = request.about
    assert (about.run, about.user, about.split, about.turn) == ("r", "u1", "test", 0)
    assert (about.agent, about.prompt, about.prompt_digest) == (prompt.name, prompt.name, prompt.digest)
    assert about.rendered == len(request.messages) == SHOWN
    recorded = json.loads(json.dumps(about.blanks))
    assert prompts.render_recorded(about.prompt_text, recorded) == request.messages


async def test_an_answer_that_a_server_gives_as_reasoning_is_used() -> None:
    llm = Scripted([Reply("", reasoning=f"They like {{warm}} things.\n{GOOD}")])
    assert (await summarise(llm, history=HISTORY)).summary == WARM


async def test_a_thought_that_was_cut_off_is_no_answer_and_would_be_cut_again() -> None:
    llm = Scripted([Reply("", reasoning=GOOD, finish_reason="length"), GOOD])
    with pytest.raises(AnswerError, match=r"thought until the limit of 400 tokens.*max_tokens"):
        await summarise(llm, history=HISTORY)
    assert len(llm.asked) == 1


async def test_an_object_inside_a_cut_one_is_not_the_answer() -> None:
    llm = Scripted([cut(f'{{"drafts": [{GOOD}, {{"summary": "w'), GOOD])
    await summarise(llm, history=HISTORY)
    assert len(llm.asked) == 2


async def test_the_example_of_the_prompt_is_no_answer_in_the_house_s_words_nor_in_edited_ones() -> None:
    agent = Agent("pulse/base_reason", answer=Reason)
    blanks = {"history": HISTORY, "similar": HISTORY}
    (shown,) = [message.content for message in agent.prompt.opening if message.role == "assistant"]
    ours, theirs = json.loads(shown)["text"], "Clay once more, because the learner has said so, and then the kiln."
    assert ours in agent.prompt.text
    edited = prompts.parse(agent.prompt.text.replace(ours, theirs))
    for words, example in ((Wording(), ours), (Wording({edited.name: edited}), theirs)):
        llm = Scripted(
            [
                json.dumps({"text": example}),
                json.dumps({"text": f"{WARM} are next. " + "It is cold where they go, and the old ones are worn."}),
            ]
        )
        found = await agent(words.around(llm), **blanks)
        assert found.text.startswith(WARM) and "only says the example" in llm.asked[1].messages[-1].content


TOKENS = (
    *("[|user|]", "[UNUSED_TOKEN_146]", "]~b]ai", "[e~[", "[control_8]", "[/INST]"),
    *("<|im_start|>", "<｜User｜>", "</think>", "［INST］"),
)


@pytest.mark.parametrize(
    ("name", "answer", "text"),
    [
        ("cot_rec/summarise_batch", ShortTermInterest, '{"summary": "a {} b", "keywords": ["c", "{}", "d"]}'),
        ("cot_rec/official_keywords", OfficialPreference, "<keywords>{}\nagain {}\nc</keywords>{}"),
    ],
)
async def test_no_token_of_any_family_comes_back_to_a_model_in_its_own_words(name: str, answer: Any, text: str) -> None:
    said = text.replace("{}", " ".join(TOKENS))
    llm = Scripted([said, said])
    with pytest.raises(AnswerError):
        await Agent(name, answer=answer, check=lambda _a, _b: f"it says {TOKENS[0]} {said}")(llm, history=HISTORY)
    for message in llm.asked[1].messages[SHOWN:]:
        assert not [token for token in TOKENS if token in message.content], message.content
        assert "UNUSED_TOKEN_146" in message.content, "the words themselves stay"
    if text.startswith("{"):
        assert json.loads(llm.asked[1].messages[SHOWN].content)["keywords"][0] == "c", "and so does the JSON"
    else:
        assert "<keywords>" in llm.asked[1].messages[SHOWN].content


async def test_a_wrong_answer_is_shown_to_the_model_with_its_error() -> None:
    llm = Scripted(['{"summary": "x <|im_end|>", "keywords": ["a"]}', GOOD])
    await summarise(llm, about=ABOUT, history=HISTORY)
    first, second = llm.asked
    assert second.messages[:SHOWN] == first.messages
    said, asked = second.messages[SHOWN:]
    assert (said.role, said.content) == ("assistant", '{"summary": "x ‹|im_end|›", "keywords": ["a"]}')
    assert asked.role == "user" and "keywords: Tuple should have at least 3 items" in asked.content
    assert (second.about.turn, second.about.rendered) == (1, SHOWN)
    assert second.about.blanks == first.about.blanks


async def test_repairs_are_bounded_and_the_reason_is_kept() -> None:
    llm = Scripted(["no", "still no", "never"])
    with pytest.raises(AnswerError, match="no usable answer from scripted: there is no JSON object") as caught:
        await Agent("cot_rec/summarise_batch", answer=ShortTermInterest, repairs=2)(llm, history=HISTORY)
    assert [r.about.turn for r in llm.asked] == [0, 1, 2]
    assert caught.value.reason == str(caught.value)
    assert "still no" in llm.asked[2].messages[SHOWN].content
    assert len(llm.asked[2].messages) == SHOWN + 2, "each repair shows the latest answer only"


async def test_a_repair_of_a_loop_is_drawn_anew_and_shows_little_of_it() -> None:
    loop = GOOD.replace(WARM, "They walk in wool. " * 20)
    llm = Scripted([loop, GOOD])
    await summarise(llm, history=HISTORY)
    assert [r.sampling.temperature for r in llm.asked] == [0.0, 0.7], "the likeliest words would be the same loop"
    assert len(llm.asked[1].messages[SHOWN].content) == 200 < len(loop)


async def test_no_repairs_at_all() -> None:
    llm = Scripted(["no"])
    with pytest.raises(AnswerError):
        await Agent("cot_rec/summarise_batch", answer=ShortTermInterest, repairs=0)(llm, history=HISTORY)
    assert len(llm.asked) == 1


async def test_an_answer_cut_by_length_is_told_so() -> None:
    llm = Scripted([cut(GOOD[:40]), GOOD])
    await summarise(llm, history=HISTORY)
    assert "cut off at the limit of 400 tokens" in llm.asked[1].messages[-1].content


async def test_a_whole_object_counts_though_the_limit_cut_the_space_after_it() -> None:
    llm = Scripted([cut(GOOD + " " * 50)])
    assert (await summarise(llm, history=HISTORY)).summary == WARM


async def test_cut_tags_do_not_count_as_whole() -> None:
    agent = Agent("cot_rec/official_keywords", answer=OfficialPreference)
    llm = Scripted([cut("<keywords>wool, walks, win"), "<keywords>wool, walks, winter</keywords>"])
    assert (await agent(llm, history=HISTORY)).keywords == ("wool", "walks", "winter")
    assert llm.asked[1].messages[SHOWN].content == "<keywords>wool, walks, win"


async def test_a_filtered_answer_is_not_asked_again() -> None:
    llm = Scripted([cut("", "filtered")])
    with pytest.raises(AnswerError, match="content filter"):
        await summarise(llm, history=HISTORY)
    assert len(llm.asked) == 1


async def test_an_empty_answer_is_repaired_too() -> None:
    llm = Scripted(["", GOOD])
    await summarise(llm, history=HISTORY)
    assert llm.asked[1].messages[SHOWN].content == "(nothing)"


async def test_many_samples_are_one_request_and_each_is_repaired_alone() -> None:
    other = GOOD.replace("warm", "thin")
    llm = Scripted([GOOD, "oops", other, other])
    answers = await summarise.many(llm, 3, about=ABOUT, history=HISTORY)
    assert [a.summary for a in answers] == [WARM, THIN, THIN]
    assert [r.samples for r in llm.asked] == [(0, 1, 2), (1,)]


async def test_a_sample_that_no_repair_makes_usable_is_left_out_and_counted() -> None:
    llm = Scripted([GOOD, "oops", GOOD.replace("warm", "thin"), "no better"])
    found = await summarise.many(llm, 3, about=ABOUT, history=HISTORY)
    assert [a.summary for a in found] == [WARM, THIN] and len(found) == 2
    assert (found.missing, found.repairs) == (1, 1) and "there is no JSON object" in found.lost[0]
    assert [r.samples for r in llm.asked] == [(0, 1, 2), (1,)], "repairs are bounded, and of that sample alone"


@pytest.mark.parametrize("least", [1, 2])
async def test_fewer_samples_than_the_least_wanted_are_an_error(least: int) -> None:
    bad = cut("", "filtered")
    llm = Scripted([bad, *[GOOD] * (least - 1), *[bad] * (3 - least)])
    with pytest.raises(AnswerError, match=f"{least - 1} of 3 samples are usable, and {least} are needed.*filter"):
        await summarise.many(llm, 3, least=least, history=HISTORY)


async def test_who_looks_at_what_there_is_gets_no_error() -> None:
    found = await summarise.many(Scripted([cut("", "filtered")] * 2), 2, least=0, history=HISTORY)
    assert found.answers == () and found.missing == 2


async def test_a_refused_repair_costs_its_sample_alone() -> None:
    llm = Scripted([GOOD, "oops", Refused("the prompt is too long")])
    found = await summarise.many(llm, 2, history=HISTORY)
    assert len(found) == 1 and found.lost[0].endswith("asking again was refused: the prompt is too long")


async def test_a_model_that_does_not_answer_is_not_our_error() -> None:
    with pytest.raises(Refused):
        await summarise(Scripted([Refused("no key")]), history=HISTORY)


async def test_wrong_blanks_cost_no_call() -> None:
    llm = Scripted([GOOD])
    with pytest.raises(UsageError, match="it also needs history"):
        await summarise(llm, items=HISTORY)
    assert llm.asked == []


def test_a_prompt_and_an_agent_must_agree_on_the_answer() -> None:
    with pytest.raises(AssertionError, match="asks for ShortTermInterest"):
        Agent("cot_rec/summarise_batch", answer=Review).prompt  # noqa: B018


def entries(*ids: int) -> str:
    return json.dumps(
        {
            "items": [
                {"id": i, "text": f"I like the {i} well enough, but it is dear for what it does.", "stance": 0}
                for i in ids
            ]
        }
    )


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ((7, 3), "missing: 9"),
        ((7, 3, 9, 12), "not asked for: 12"),
        ((7, 3, 3, 9), "given more than once: 3"),
    ],
)
async def test_the_check_asks_for_exactly_the_given_ids(ids: tuple[int, ...], said: str) -> None:
    blanks = {"preference": {"summary": "x", "keywords": []}, "candidates": [Item(i, str(i), "t") for i in (3, 7, 9)]}
    llm = Scripted([entries(*ids), entries(9, 7, 3)])
    answer = await write_reviews(llm, **blanks)
    assert [r.id for r in answer.items] == [9, 7, 3]
    asked = llm.asked[1].messages[-1].content
    assert "for each of the ids 3, 7, 9" in asked and said in asked


async def test_the_model_is_shown_no_more_than_a_page_of_its_wrong_answer() -> None:
    llm = Scripted(["x" * 100_000, GOOD])
    await summarise(llm, history=HISTORY)
    assert len(llm.asked[1].messages[SHOWN].content) == 4000


async def test_the_trace_is_told_which_answers_were_of_no_use() -> None:
    told: list[Unusable | None] = []

    class Watched(Scripted):
        async def complete(self, request: Request) -> list[Reply]:
            replies = await super().complete(request)
            assert request.about.wrong is not None
            told.extend(map(request.about.wrong, replies))
            return replies

    llm = Watched(["no JSON", GOOD, Reply("", finish_reason="filtered")])
    await summarise(llm, about=ABOUT, history=HISTORY)
    with pytest.raises(AnswerError, match="content filter"):
        await summarise(llm, about=ABOUT, history=HISTORY)
    reasons = [why and why.reason for why in told]
    assert reasons == ["unreadable", None, "withheld"] and told[2] is not None and told[2].final
