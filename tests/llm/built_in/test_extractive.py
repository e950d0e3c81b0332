"""The extractive model: whatever is asked, a valid answer out of the prompt, the same one everywhere."""

from __future__ import annotations

import hashlib
import json
import math
import re
import subprocess
import sys
import time
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from agents import catalogue, cot_rec
from agents.answers import Answer, answer_format, read
from whyrec.data.generated import world
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.llm.built_in.blocks import Text, read_blocks, sentences, tokens
from whyrec.llm.built_in.extract_rank import quotable
from whyrec.llm.built_in.extractive import Extractive, open_
from whyrec.llm.labels import choice_format, label_probabilities
from whyrec.llm.model import About, AnswerFormat, Message, Request, Sampling, Scorer
from whyrec.records import Domain, Item
from whyrec.settings import Settings

HISTORY = """<history>
1. Trail Boots Alpha | brand: Cairn | categories: Outdoor, Hiking, Boots | rated: 5 | about: Boots for hiking.
2. Pour Over Kettle | brand: Kaldi | categories: Kitchen, Coffee | rated: 1 | review: leaks, sent it back
3. Wool Socks | brand: Cairn | categories: Outdoor, Hiking, Socks | rated: 5 | about: Warm socks for hiking in snow.
4. Hiking Poles | brand: Fellwalk | categories: Outdoor, Hiking, Poles | about: Light poles for steep hiking trails.
</history>"""
CANDIDATES = """<candidates>
[17] Espresso Grinder | brand: Kaldi | categories: Kitchen, Coffee | about: Grinds beans for espresso.
[4] Hiking Backpack | brand: Cairn | categories: Outdoor, Hiking, Backpacks | about: A backpack for hiking in snow.
[230] Guitar Strings | brand: Sonora | categories: Music, Strings
</candidates>"""
LETTERS = CANDIDATES.replace("[17]", "A)").replace("[4]", "B)").replace("[230]", "C)")
model = Extractive()


class Interest(Answer):
    summary: str = Field(max_length=300, description="the interest, at most 30 words")
    keywords: tuple[str, ...] = Field(min_length=3, max_length=6, description="short phrases, strongest first")


class Verdict(BaseModel):
    id: int = Field(ge=0)
    text: str = Field(min_length=1, max_length=200)
    stance: int = Field(ge=-2, le=2)


class Verdicts(Answer):
    items: tuple[Verdict, ...] = Field(min_length=1, max_length=20)


class Both(Interest, Verdicts):
    """An interest and verdicts."""


class Ranked(Answer):
    ranking: tuple[int, ...] = Field(min_length=1, max_length=10)


def ask(prompt: str, shape: AnswerFormat | None = None, **more: Any) -> Request:
    return Request((Message("system", "Answer."), Message("user", prompt)), format=shape or AnswerFormat(), **more)


async def answer(answer_type: type[BaseModel], prompt: str, **more: Any) -> Any:
    shape = AnswerFormat("json", "", json.dumps(answer_type.model_json_schema()))
    (reply,) = await model.complete(ask(prompt, shape, **more))
    return answer_type.model_validate_json(reply.text)


async def test_a_history_is_summed_up_by_what_dominates_it() -> None:
    found = await answer(Interest, HISTORY)
    assert found.keywords[0] == "Hiking" and any("Cairn" in k for k in found.keywords)
    assert not any("Kettle" in k or "Coffee" in k for k in found.keywords)  # rated badly
    assert "hiking" in found.summary.lower() and len(found.summary.split()) <= 30


async def test_ids_are_copied_and_the_best_match_is_liked_most() -> None:
    found = await answer(Verdicts, HISTORY + CANDIDATES)
    assert [v.id for v in found.items] == [17, 4, 230]
    by_id = {v.id: v for v in found.items}
    assert by_id[4].stance == 2 and by_id[230].stance == -2
    assert "Backpack" in by_id[4].text and "Grinder" in by_id[17].text and "Grinder" not in by_id[4].text
    assert (await answer(Ranked, HISTORY + CANDIDATES)).ranking[0] == 4


async def test_numbered_lines_are_meant_where_the_field_says_history() -> None:
    notes = create_model("Notes", history_notes=(tuple[Verdict, ...], ...), candidate_notes=(tuple[Verdict, ...], ...))
    found = await answer(notes, HISTORY + CANDIDATES)
    assert [v.id for v in found.history_notes] == [1, 2, 3, 4]
    assert [v.id for v in found.candidate_notes] == [17, 4, 230]


async def test_only_words_that_were_shown() -> None:
    shown = set(tokens(HISTORY + CANDIDATES))
    for kind in (Interest, Verdicts):
        found = await answer(kind, HISTORY + CANDIDATES)
        texts = re.findall(r'"(?:summary|text)": ?"(.*?)"', found.model_dump_json())
        assert texts and set(tokens(" ".join(texts))) <= shown


async def test_item_fields_follow_their_descriptions() -> None:
    item = world.make(users=10, items=40).corpus.item(3)
    found = await catalogue.describe_item(model, domain="things", item=item)
    assert found.type == item.categories[-1]
    assert found.audience.startswith("for ")
    assert item.title in found.text


async def test_merging_tells_old_from_new() -> None:
    def side(*words: str) -> cot_rec.ShortTermInterest:
        return cot_rec.ShortTermInterest(summary=f"Looks for {words[0]}.", keywords=words)

    old, new = side("tents", "kettles", "boots"), side("boots", "guitars", "tents")
    found = await cot_rec.merge_preference(model, long=old, short=new)
    assert {"boots", "tents"} <= set(found.kept) and "guitars" in found.added
    assert "guitars" not in found.kept and "tents" not in found.added


async def test_options_are_chosen_by_likeness() -> None:
    (reply,) = await model.complete(ask(HISTORY + LETTERS, choice_format(["A", "B", "C"]), top_logprobs=5))
    assert reply.text == "B"
    assert reply.logprobs[0].top[0][0] == "B"
    assert math.fsum(math.exp(p) for _, p in reply.logprobs[0].top) == pytest.approx(1)
    by_logprobs = await label_probabilities(model, ask(HISTORY + LETTERS), ["A", "B", "C"])
    by_score = await label_probabilities(model, ask(HISTORY + LETTERS), ["A", "B", "C"], ways=["score"])
    assert by_logprobs == pytest.approx(by_score) and max(by_score, key=by_score.__getitem__) == "B"


async def test_a_score_does_not_depend_on_its_neighbours() -> None:
    assert isinstance(model, Scorer)
    for texts in (["A", "B", "C"], ["Yes", "No"], ["hiking boots", "quantum chromodynamics"]):
        together = await model.score(ask(HISTORY + LETTERS), texts)
        alone = [(await model.score(ask(HISTORY + LETTERS), [t]))[0] for t in texts]
        assert together == alone
    assert together[0].mean > together[1].mean


async def test_yes_is_likelier_for_what_fits() -> None:
    fits, other = (
        f"{HISTORY}<item>\n{line}\n</item>" for line in ("Hiking Boots | brand: Cairn", "Harp | brand: Sonora")
    )
    chances = [(await label_probabilities(model, ask(p), ["Yes", "No"]))["Yes"] for p in (fits, other)]
    assert chances[0] > chances[1] + 0.1


async def test_samples_are_distinct_and_independent_of_what_else_is_asked() -> None:
    shape = answer_format(Interest, "json")
    many = await model.complete(ask(HISTORY, shape, samples=(0, 1, 2, 3)))
    assert len({r.text for r in many}) == 4 and [r.sample for r in many] == [0, 1, 2, 3]
    (third,) = await model.complete(ask(HISTORY, shape, samples=(2,)))
    assert third.text == many[2].text
    assert [r.usage.prompt > 0 for r in many] == [True, False, False, False]
    forced = await model.complete(ask(HISTORY, choice_format(["only"]), samples=(0, 1, 2)))
    assert [r.text for r in forced] == ["only"] * 3


@pytest.mark.parametrize("kind", ["json", "tags", "headers"])
async def test_every_shape_can_be_read_back(kind: Literal["json", "tags", "headers"]) -> None:
    (reply,) = await model.complete(ask(HISTORY, answer_format(Interest, kind)))
    found = read(Interest, kind, reply.text)
    assert found.keywords[0] == "Hiking" and len(found.keywords) >= 3 and not found.cut


async def test_answers_fit_into_the_tokens_allowed() -> None:
    shape = answer_format(Verdicts, "json")
    (reply,) = await model.complete(ask(HISTORY + CANDIDATES, shape, sampling=Sampling(max_tokens=80)))
    assert reply.finish_reason == "stop" and len(reply.text) <= 320
    assert [v.id for v in read(Verdicts, "json", reply.text).items] == [17, 4, 230]
    (reply,) = await model.complete(ask(HISTORY + CANDIDATES, shape, sampling=Sampling(max_tokens=10)))
    assert reply.finish_reason == "length" and len(reply.text) == 40


async def test_prompts_without_blocks_and_empty_ones_are_answered() -> None:
    for prompt in ("I like hiking, hiking boots and wool socks.", "", "<history>\n</history>"):
        found = await answer(Interest, prompt)
        assert len(found.keywords) >= 3
        (reply,) = await model.complete(ask(prompt))
        assert reply.finish_reason == "stop"
    assert "hiking" in (await answer(Interest, "I like hiking, hiking boots and wool socks.")).keywords[0]


def strings() -> st.SearchStrategy[Any]:
    return st.tuples(st.integers(0, 12), st.integers(0, 90)).map(
        lambda b: (str, Field(min_length=b[0], max_length=b[0] + b[1] + 1, description="at most 8 words"))
    )


def leaves() -> st.SearchStrategy[Any]:
    bounds = st.tuples(st.integers(-5, 5), st.integers(0, 9))
    return st.one_of(
        strings(),
        bounds.map(lambda b: (int, Field(ge=b[0], le=b[0] + b[1]))),
        bounds.map(lambda b: (int, Field(gt=b[0], lt=b[0] + b[1] + 2))),
        bounds.map(lambda b: (float, Field(ge=b[0], le=b[0] + b[1]))),
        st.just((bool, ...)),
        st.just((Literal["yes", "no", "perhaps"], ...)),
        st.just((int | None, Field(ge=0, le=3))),
    )


def lists(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(args: tuple[Any, int, int]) -> Any:
        (kind, bounds), low, more = args
        entry = kind if bounds is ... else Annotated[kind, bounds]
        return (list[entry], Field(min_length=low, max_length=low + more + 1))

    return st.tuples(of, st.integers(0, 5), st.integers(0, 6)).map(build)


def objects(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["id", "text", "item_id", "summary", "type", "added", "dropped", "score", "candidates"])
    return st.dictionaries(names, of, min_size=1, max_size=4).map(lambda fields: (create_model("Part", **fields), ...))


shapes = st.recursive(leaves(), lambda inner: st.one_of(lists(inner), objects(inner)), max_leaves=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    fields=st.dictionaries(st.sampled_from(["summary", "keywords", "items", "kept", "stance"]), shapes, min_size=1),
    prompt=st.sampled_from([HISTORY, HISTORY + CANDIDATES, CANDIDATES, "<item>\nHarp\n</item>", "plain text", ""]),
    sample=st.integers(0, 3),
)
async def test_any_schema_gets_a_valid_answer(fields: dict[str, Any], prompt: str, sample: int) -> None:
    kind = create_model("Drawn", **fields)
    await answer(kind, prompt, samples=(sample,), sampling=Sampling(max_tokens=100_000))


async def test_every_agent_is_satisfied_without_a_repair() -> None:
    corpus = world.make(users=40, items=80).corpus
    view = SplitView(corpus, "test")
    for user in view.users[:15]:
        history = view.example(int(user)).history
        items = [corpus.item(1 + (int(user) * 7 + k) % 80) for k in range(10)]
        first = await cot_rec.summarise_batch(model, history=history[:3])
        second = await cot_rec.summarise_batch(model, history=history[2:])
        preference = await cot_rec.merge_preference(model, long=first, short=second)
        reviews = await cot_rec.write_reviews(model, preference=preference, candidates=items)
        phrases = await cot_rec.extract_perceptions(model, reviews=reviews.items)
        assert [p.id for p in phrases.items] == [i.index for i in items]
        assert not any(a.cut for a in (first, second, preference, reviews, phrases))
        await cot_rec.official_preference_perception(model, history=history[-10:], candidates=items)
        await cot_rec.official_keywords(model, history=history)


SAY = """
import asyncio, json, sys
from whyrec.llm.built_in.extractive import Extractive
from whyrec.llm.model import AnswerFormat, Message, Request
prompt, schema = json.loads(sys.stdin.read())
replies = asyncio.run(Extractive().complete(
    Request((Message("user", prompt),), format=AnswerFormat("json", "", schema), samples=(0, 1))))
print(json.dumps([r.text for r in replies]))
"""


def said_elsewhere(seed: str) -> str:
    given_in = json.dumps([HISTORY + CANDIDATES, json.dumps(Both.model_json_schema())])
    env = {"PYTHONHASHSEED": seed, "PYTHONPATH": "."}
    done = subprocess.run(
        [sys.executable, "-c", SAY], input=given_in, capture_output=True, text=True, check=True, env=env
    )
    return done.stdout


def test_same_in_every_process_and_pinned() -> None:
    said = said_elsewhere("1")
    assert said == said_elsewhere("2")
    # A changed answer needs a raised extractive.REVISION (cached answers would differ), then a new digest here.
    assert (model.revision, hashlib.sha256(said.encode()).hexdigest()[:16]) == ("3", "3872bfcf889a1c47")


async def test_fast_enough_for_every_user_of_a_real_data_set() -> None:
    corpus = world.make(users=300, items=200).corpus
    view = SplitView(corpus, "test")
    shown = [view.example(int(u), last=10).history for u in view.users]
    requests = [cot_rec.summarise_batch.request(1, About(), {"history": h}) for h in shown]
    start = time.process_time()
    for request in requests:
        await model.complete(request)
    assert (time.process_time() - start) / len(requests) < 0.006  # 1 ms on a quiet machine


def test_opening() -> None:
    assert open_("", settings=Settings(), world=None).name == "extractive"
    with pytest.raises(UsageError, match="no variants"):
        open_("large", settings=Settings(), world=None)


def test_what_is_quoted_does_not_depend_on_what_was_read_before() -> None:
    """Found by a kill on real data: a title that reads like a list was quoted or not, as the caches had it."""
    quotable.cache_clear()
    title = "Working Hands Cream, 3.4 oz."
    assert quotable(Text(title)) == (title,)
    quotable.cache_clear()
    sentences.cache_clear()
    sentences("".join(list(title)))  # the cache now holds an equal string, not this one
    assert quotable(Text(title)) == (title,)


def test_reading_blocks() -> None:
    history, options = read_blocks((Message("system", "The x block."), Message("user", HISTORY + CANDIDATES)))
    assert (history.name, len(history.lines), history.is_options, options.is_options) == ("history", 4, False, True)
    first = history.lines[0]
    assert (first.mark, first.text.head, first.text.get("brand")) == ("1", "Trail Boots Alpha", "Cairn")
    assert options.lines[2].mark == "230" and options.lines[2].text.get("about") == ""
    (block,) = read_blocks((Message("user", "<a>\nprose here.\nkeywords: x, y\n</a>"),))
    assert block.lines[0].text.head == "prose here." and block.lines[1].text.fields == (("keywords", "x, y"),)


@pytest.mark.parametrize(
    "title",
    [
        "Dr. Scholl's Quick Heat Paraffin Spa Bath",
        "Burberry Touch By Burberry For Men. Eau De Toilette Spray 3.3 Ounces",
        "Set of (4) Liter 33.8 oz. Pumps",
        "Suave Naturals Shampoo, Daily Clarifying - 22.5oz.",
    ],
)
async def test_a_title_that_can_be_read_as_sentences_is_said_once(title: str) -> None:
    """A real catalogue without texts: such descriptions were refused as loops, and 28 of 64 users failed on Beauty."""
    item = Item(1, "1", title, categories=("Beauty", "Hair Care"))
    found = await catalogue.describe_item(model, domain=Domain(), item=item)  # raises where the answer is refused
    assert title.split(".")[0] in found.text
