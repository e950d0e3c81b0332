"""Thinking in samples, and reading P(yes) out of a trace."""

from __future__ import annotations

import dataclasses

import pytest

from agents.rallrec import Trace, click, read_out, reason, vote
from whyrec.llm.built_in.extractive import Extractive
from whyrec.llm.model import About, Made, Refused, Reply, TokenLogprob, Usage
from whyrec.records import Event, Item

NO = "Star Wars is near Star Trek, but this user likes little that is new.\nAnswer: No"
LONG = "The user liked Star Trek and not Jaws, so space seems to be what counts here, and"
BLANKS = {
    "profile": "female, writer",
    "history": (Event(Item(1, "a", "Star Trek"), 5.0), Event(Item(2, "b", "Jaws"), 2.0)),
    "above": "3",
    "opinion": "Someone else thinks the answer may be Yes.",
    "item": Item(3, "c", "Star Wars"),
}


@dataclasses.dataclass
class Told:
    """Answers with what it is given; shows log-probabilities of Yes and No if `yes` is set."""

    texts: tuple[Reply, ...] = ()
    yes: float | None = None
    name: str = "told"
    revision: str = ""

    def __post_init__(self):
        self.seen = []

    async def complete(self, request):
        self.seen.append(request)
        if request.top_logprobs:
            if self.yes is None:
                raise Refused("told shows no log-probabilities")
            top = (("Yes", self.yes), ("No", 0.0))
            return [Reply("Yes", logprobs=(TokenLogprob("Yes", self.yes, top),))]
        return [dataclasses.replace(self.texts[s % len(self.texts)], sample=s) for s in request.samples]

    async def close(self):
        pass


async def test_a_trace_is_as_long_from_the_cache_as_when_it_was_made():
    """Found by a kill on real data: what came from the cache had no length, and the resumed run's results differed."""
    cached = Reply(NO, cache="hit", made=Made(Usage(9, 5)))
    (trace,) = await reason(Told((cached,)), 1, about=About(), **BLANKS)
    assert trace == Trace(NO, "", 5, "stop")


async def test_samples_come_from_one_request_with_their_lengths():
    model = Told((Reply(NO, usage=Usage(9, 5)), Reply("Yes", LONG, finish_reason="length")))
    traces = await reason(model, 2, about=About(), **BLANKS)
    assert len(model.seen) == 1 and model.seen[0].samples == (0, 1)
    assert traces[0] == Trace(NO, "", 5, "stop") and traces[0].vote == 0.0
    assert traces[1] == Trace(LONG, "Yes", 0, "length") and traces[1].vote == 1.0, "a cut trace is kept"
    prompt = model.seen[0].messages[-1].content
    for part in (
        "<profile>\nfemale, writer",
        "1. Star Trek | rated: 5",
        "rated above 3",
        "may be Yes",
        "[3] Star Wars",
    ):
        assert part in prompt
    assert model.seen[0].sampling.temperature == 0.6 and model.seen[0].about.prompt == "rallrec/reason"


async def test_blocks_of_nothing_are_left_out():
    model = Told((Reply(NO),))
    await reason(model, 1, about=About(), **{**BLANKS, "profile": "", "opinion": ""})
    assert "<profile>" not in model.seen[0].messages[-1].content
    assert "<opinion>" not in model.seen[0].messages[-1].content


async def test_a_trace_is_read_out_by_continuing_the_assistants_turn():
    model = Told(yes=1.0)
    trace = Trace("I </think> think <b>yes</b>", "", 5, "stop")
    found = await read_out(model, trace, way="continue", about=About(), **BLANKS)
    assert found.probability == pytest.approx(0.7310586) and found.way == "logprobs"
    prefix = model.seen[0].prefix
    assert prefix.startswith("<think>\n") and prefix.endswith("\n</think>\n\n") and prefix.count("</think>") == 1
    assert model.seen[0].sampling.max_tokens == 1 and "<thoughts>" not in model.seen[0].messages[-1].content


async def test_the_released_code_puts_the_trace_into_the_users_turn():
    model = Told(yes=1.0)
    await read_out(model, Trace("because of Star Trek", "", 5, "stop"), way="user_turn", about=About(), **BLANKS)
    assert model.seen[0].prefix == "" and "<thoughts>\nbecause of Star Trek\n" in model.seen[0].messages[-1].content


async def test_without_probabilities_the_last_word_counts():
    trace = Trace("Yes at first. Answer: No", "", 5, "stop")
    assert (await read_out(Told(), trace, way="continue", about=About(), **BLANKS)).way == "vote"
    silent = Told(yes=1.0)
    found = await read_out(silent, trace, way="vote", about=About(), **BLANKS)
    assert (found.probability, found.way) == (0.0, "vote") and not silent.seen


async def test_a_click_at_once():
    found = await click(Extractive(), about=About(), **BLANKS)
    assert found.way == "logprobs" and found.probability > 0.01
    other = await click(Extractive(), about=About(), **{**BLANKS, "item": Item(3, "c", "Quilting")})
    assert found.probability > other.probability, "it shares no word with the history"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Answer: Yes", 1.0),
        ("**Answer:** no.", 0.0),
        ("answer: yes ... no, wait. Answer: No", 0.0),
        ("I would say yes", 1.0),
        ("yes" + " x" * 200, 0.5),
        ("nothing known", 0.5),
        ("", 0.5),
    ],
)
def test_votes(text, wanted):
    assert vote(text) == wanted


async def test_a_trace_goes_back_to_the_model_without_chat_tokens():
    """The third way in which a model's words are sent again, beside repairs and blanks: the beginning of an answer."""
    tokens = ["[|user|]", "[UNUSED_TOKEN_146]", "]~b]", "[control_8]", "<|im_start|>", "</think>"]
    for way in ("continue", "user_turn"):
        model = Told(yes=0.5)
        await read_out(model, Trace(" ".join(tokens), "", 9, "stop"), way=way, about=About(), **BLANKS)
        (asked,) = model.seen
        sent = asked.prefix.removeprefix("<think>\n").removesuffix("\n</think>\n\n") + asked.messages[-1].content
        assert "UNUSED_TOKEN_146" in sent and not [token for token in tokens if token in sent]
