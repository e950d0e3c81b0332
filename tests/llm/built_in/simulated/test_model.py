"""The simulated model: its answers get truer with q, read only what is shown, and never see what came next."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import BaseModel

from agents import catalogue, cot_rec
from whyrec.data.generated import world
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.llm import wrap
from whyrec.llm.built_in.blocks import read_blocks, tokens
from whyrec.llm.built_in.extractive import Extractive
from whyrec.llm.built_in.simulated.model import Simulated, open_
from whyrec.llm.built_in.simulated.reading import Facts, Read, sort
from whyrec.llm.labels import choice_format, label_probabilities
from whyrec.llm.model import About, Message, Request, Scorer
from whyrec.records import Item, Split
from whyrec.settings import Settings

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
W = world.make(users=300, items=200)
TOPIC = {word: t for t, words in enumerate(W.truth.topic_words) for word in words}
TEST = SplitView(W.corpus, "test")


def said(answer: BaseModel) -> npt.NDArray[np.float64]:
    """Topics of all words of an answer, unit length (zero if it has none)."""
    counts = np.zeros(8)
    for word in tokens(answer.model_dump_json()):
        if word in TOPIC:
            counts[TOPIC[word]] += 1
    return counts / max(1e-9, float(np.linalg.norm(counts)))


def truth(user: int, n_events: int) -> npt.NDArray[np.float64]:
    taste = W.truth.taste(user, n_events).astype(np.float64)
    return np.asarray(taste / np.linalg.norm(taste))


def about(user: int, split: Split = "test") -> About:
    return About(user=W.corpus.user_ids[user], split=split)


async def preference(model: Simulated, user: int) -> tuple[BaseModel, cot_rec.LongTermPreference]:
    """The last short-term interest and the merged preference of a two-batch fold."""
    history = TEST.example(user).history
    half = len(history) // 2
    first = await cot_rec.summarise_batch(model, about=about(user), history=history[:half])
    second = await cot_rec.summarise_batch(model, about=about(user), history=history[half:])
    return second, await cot_rec.merge_preference(model, about=about(user), long=first, short=second)


async def test_interest_and_merged_preference_get_truer_with_q() -> None:
    short, merged = [], []
    for q in LEVELS:
        model, pairs = Simulated(W, q), []
        for user in range(100):
            now = truth(user, len(TEST.history(user)))
            pairs.append([float(said(answer) @ now) for answer in await preference(model, user)])
        short.append(np.mean(pairs, axis=0)[0])
        merged.append(np.mean(pairs, axis=0)[1])
    for levels in (short, merged):
        assert np.all(np.diff(levels) > 0.03), levels
        assert levels[-1] > 0.7 and levels[0] < 0.45, levels


async def test_at_0_an_answer_says_nothing_of_the_user() -> None:
    model = Simulated(W, 0.0)
    own, others = [], []
    for user in range(150):
        interest = said((await preference(model, user))[0])
        own.append(interest @ truth(user, len(TEST.history(user))))
        others.append(np.mean([interest @ truth(u, len(TEST.history(u))) for u in range(200, 240)]))
    assert abs(np.mean(own) - np.mean(others)) < 0.06


async def test_descriptions_reviews_and_perceptions_get_truer_with_q() -> None:
    described, agreed, perceived = [], [], []
    for q in LEVELS:
        model, d, a, p = Simulated(W, q), [], [], []
        for user in range(40):
            item = W.corpus.item(user + 1)
            topics = W.truth.item_topics / np.maximum(np.linalg.norm(W.truth.item_topics, axis=1), 1e-9)[:, None]
            d.append(
                said(await catalogue.describe_item(model, about=About(item=item.id), domain="world", item=item))
                @ topics[user + 1]
            )
            items = [W.corpus.item(1 + (13 * user + 7 * k) % 200) for k in range(10)]
            _, liked = await preference(Simulated(W, 1.0), user)
            reviews = await cot_rec.write_reviews(model, about=about(user), preference=liked, candidates=items)
            now = truth(user, len(TEST.history(user)))
            stances, fit = [r.stance for r in reviews.items], [float(topics[i.index] @ now) for i in items]
            a.append(np.corrcoef(stances, fit)[0, 1] if len(set(stances)) > 1 else 0.0)
            seen = await cot_rec.extract_perceptions(model, about=about(user), reviews=reviews.items)
            p.append(np.mean([said(one) @ topics[item.index] for one, item in zip(seen.items, items, strict=True)]))
        described.append(np.mean(d)), agreed.append(np.mean(a)), perceived.append(np.mean(p))
    for levels, best in ((described, 0.9), (agreed, 0.6), (perceived, 0.8)):
        assert levels[0] + 0.1 < levels[2] < levels[4] - 0.1, levels
        assert levels[4] > best, levels


async def test_a_history_tells_the_mean_of_its_lines_later_and_well_rated_ones_more() -> None:
    def taste(*lines: str) -> npt.NDArray[np.float64]:
        shown = "\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1))
        prompt = sort(read_blocks((Message("user", f"<history>\n{shown}\n</history>"),)))
        read = Read(Facts(W), prompt, 1.0, random.Random(0))
        assert read.taste is not None
        return read.taste

    one, two = (W.corpus.item(i).title for i in (1, 2))
    topics = [W.truth.item_topics[i].astype(float) for i in (1, 2)]
    assert np.allclose(taste(one), topics[0]) and np.allclose(taste(one, one), topics[0])
    assert np.allclose(taste(one, two), (0.8 * topics[0] + 1.0 * topics[1]) / 1.8, atol=1e-6)
    low = taste(one, f"{two} | rated: 1")
    assert low @ topics[0] > taste(one, two) @ topics[0] and low @ topics[1] < taste(one, two) @ topics[1]


async def test_who_writes_and_who_chooses_read_alike() -> None:
    """At 1 the candidates are ranked by their likeness to the very taste that is written about."""
    model = Simulated(W, 1.0)
    for user in range(20):
        history = TEST.example(user).history
        block = cot_rec.summarise_batch.request(1, about(user), {"history": history}).messages[-1].content
        items = [W.corpus.item(1 + (13 * user + 29 * k) % 200) for k in range(4)]
        lines = "\n".join(f"{letter}) {i.title or 'untitled'}" for letter, i in zip("ABCD", items, strict=True))
        request = Request((Message("user", f"{block}\n<candidates>\n{lines}\n</candidates>"),))
        chances = await label_probabilities(model, request, "ABCD")
        read = Read(Facts(W), sort(read_blocks((Message("user", block),))), 1.0, random.Random(0))
        assert read.taste is not None
        fit = {x: _fit(i, read.taste) for x, i in zip("ABCD", items, strict=True) if i.title}
        assert sorted(fit, key=fit.__getitem__) == sorted(fit, key=chances.__getitem__)


async def test_without_the_user_it_knows_only_the_items_shown() -> None:
    model = Simulated(W, 1.0)
    history = TEST.example(5).history
    shown = np.mean([W.truth.item_topics[e.item.index] for e in history], axis=0)
    answer = said(await cot_rec.summarise_batch(model, about=About(), history=history))
    other = said(await cot_rec.summarise_batch(model, about=about(9), history=history))  # not user 9's titles
    for found in (answer, other):
        assert found @ shown / np.linalg.norm(shown) > 0.85


async def test_text_is_read_for_its_words_whoever_the_user_is() -> None:
    """A merge of two wrong texts is wrong at q = 1 too: what one step got wrong, the next one reads."""
    wrong = cot_rec.ShortTermInterest(summary="Telescope and nebulae.", keywords=("telescope", "lunar", "eclipse"))
    for user in range(10):
        merged = await cot_rec.merge_preference(Simulated(W, 1.0), about=about(user), long=wrong, short=wrong)
        assert said(merged)[7] > 0.99
    newer = cot_rec.ShortTermInterest(summary="Guitar and chords.", keywords=("guitar", "tuner", "capo"))
    merged = await cot_rec.merge_preference(Simulated(W, 1.0), about=about(1), long=wrong, short=newer)
    assert said(merged)[5] > said(merged)[7] > 0.1


def permuted(split_back: int) -> world.World:
    """The same world with one target exchanged among users for items that nobody had."""
    corpus = W.corpus
    items = corpus.items.copy()
    rows = corpus.offsets[1:] - split_back
    items[rows] = items[np.roll(rows, 1)]
    return world.World(dataclasses.replace(corpus, items=items), W.truth)


async def test_targets_are_never_read() -> None:
    """Permuting what is to be predicted (and all that comes later) leaves every answer as it was."""
    for split, back in (("valid", (1, 2)), ("test", (1,))):
        for b in back:
            here, there = Simulated(W, 0.7), Simulated(permuted(b), 0.7)
            assert not np.array_equal(W.corpus.items, permuted(b).corpus.items)
            view = SplitView(W.corpus, split)  # type: ignore[arg-type]
            for user in range(0, 300, 3):
                history = view.example(user).history
                request = cot_rec.summarise_batch.request(2, about(user, split), {"history": history})  # type: ignore[arg-type]
                assert [r.text for r in await here.complete(request)] == [r.text for r in await there.complete(request)]


async def test_difficult_titles_are_misread_more_often() -> None:
    model, by_difficulty = Simulated(W, 0.5), []
    for index in range(1, 201):
        item, topics = W.corpus.item(index), W.truth.item_topics[index]
        told = said(await catalogue.describe_item(model, about=About(item=item.id), domain="world", item=item))
        by_difficulty.append((W.truth.item_difficulty(index), float(told @ topics / np.linalg.norm(topics))))
    easy = np.mean([f for d, f in by_difficulty if d < 0.4])
    hard = np.mean([f for d, f in by_difficulty if d > 0.6])
    assert easy > hard + 0.1


async def test_choices_and_log_probabilities_follow_the_match() -> None:
    """The history tells most of it; a true reason in the prompt helps, a false one harms; at 0 nothing does."""
    hits = {}
    for q, reason in ((0.0, ""), (1.0, ""), (1.0, "true"), (1.0, "false")):
        model, right = Simulated(W, q), 0
        assert isinstance(model, Scorer)
        for user in range(60):
            history = TEST.example(user).history
            now = truth(user, len(history))
            block = cot_rec.summarise_batch.request(1, about(user), {"history": history}).messages[-1].content
            items = [W.corpus.item(1 + (13 * user + 29 * k) % 200) for k in range(4)]
            lines = "\n".join(f"{letter}) {i.title}" for letter, i in zip("ABCD", items, strict=True) if i.title)
            labels = [line[0] for line in lines.splitlines()]
            told = [f"<reason>\n{_reason(now if reason == 'true' else now[::-1])}\n</reason>"] if reason else []
            asked = "\n".join([block, *told, f"<candidates>\n{lines}\n</candidates>"])
            request = Request((Message("user", asked),), about=about(user))
            chances = await label_probabilities(model, request, labels)
            assert chances == pytest.approx(await label_probabilities(model, request, labels)) and len(labels) >= 3
            assert math.fsum(chances.values()) == pytest.approx(1)
            (reply,) = await model.complete(dataclasses.replace(request, format=choice_format(labels)))
            assert reply.text in labels
            best = max(labels, key=lambda x: _fit(items["ABCD".index(x)], now))
            right += int(
                _fit(items["ABCD".index(max(chances, key=chances.__getitem__))], now)
                > _fit(items["ABCD".index(best)], now) - 0.05
            )
        hits[q, reason] = right / 60
    assert hits[0.0, ""] < 0.55 < 0.7 < hits[1.0, ""] < 0.9, hits
    assert hits[1.0, "true"] > hits[1.0, ""] + 0.05 and hits[1.0, "false"] < hits[1.0, ""] - 0.1, hits


def _reason(taste: npt.NDArray[np.float64]) -> str:
    """A reason that says what this taste is, in topic words."""
    counts = np.rint(20 * taste / taste.sum()).astype(int)
    return " ".join(w for t, n in enumerate(counts) for w in (W.truth.topic_words[t] * 3)[:n])


def _fit(item: Item, taste: npt.NDArray[np.float64]) -> float:
    topics = W.truth.item_topics[item.index]
    return float(topics @ taste / np.linalg.norm(topics))


async def test_true_rationales_are_likelier() -> None:
    model, better = Simulated(W, 1.0), 0
    for user in range(40):
        history = TEST.example(user).history
        request = cot_rec.summarise_batch.request(1, about(user), {"history": history})
        topic = int(truth(user, len(history)).argmax())
        texts = [" ".join(W.truth.topic_words[t][:5]) for t in (topic, (topic + 3) % 8)]
        good, bad = await model.score(request, texts)
        better += int(good.mean > bad.mean)
        assert (await model.score(request, texts[1:]))[0] == bad
    assert better >= 30


async def test_samples_differ_and_stay_what_they_are() -> None:
    model = Simulated(W, 0.6)
    request = cot_rec.summarise_batch.request(4, about(3), {"history": TEST.example(3).history})
    many = await model.complete(request)
    assert len({r.text for r in many}) == 4
    (third,) = await model.complete(dataclasses.replace(request, samples=(2,)))
    assert third.text == many[2].text
    (anew,) = await model.complete(dataclasses.replace(request, samples=(2,), retry=1))
    assert anew.text != third.text


async def test_two_users_with_one_history_share_a_cached_answer(tmp_path: Path) -> None:
    """Who asks is no part of a cache key: no model knows more of a user than it is shown."""
    asked = [cot_rec.summarise_batch.request(1, about(user), {"history": TEST.example(1).history}) for user in (1, 2)]
    for model in (Simulated(W, 1.0), Extractive()):
        cached = wrap(model, settings=Settings(home=tmp_path))
        replies = [(await cached.complete(request))[0] for request in asked]
        assert len({r.text for r in replies}) == 1 and [r.cache for r in replies] == ["miss", "hit"]
        await cached.close()


def test_opening() -> None:
    settings = Settings()
    model = open_("0.80", settings=settings, world=W)
    assert model.name == "simulated:0.8" and model.revision.startswith("3/")
    assert model.revision.endswith("world:users=300,items=200")
    for rest in ("", "half", "1.2", "-0.1", "nan"):
        with pytest.raises(UsageError, match="from 0 to 1"):
            open_(rest, settings=settings, world=W)
    with pytest.raises(UsageError, match="only on `--data world`"):
        open_("0.5", settings=settings, world=None)


SAY = """
import asyncio, json
from agents import cot_rec
from whyrec.data.generated import world
from whyrec.data.split import SplitView
from whyrec.llm.model import About
from whyrec.llm.built_in.simulated.model import Simulated
w = world.make(users=20, items=60)
view = SplitView(w.corpus, "test")
async def main():
    for user in range(5):
        about = About(user=w.corpus.user_ids[user], split="test")
        history = view.example(user).history
        for q in (0.3, 1.0):
            print(await cot_rec.summarise_batch(Simulated(w, q), about=about, history=history))
asyncio.run(main())
"""


def test_same_in_every_process() -> None:
    texts = set()
    for seed in ("1", "2"):
        env = {"PYTHONHASHSEED": seed, "PYTHONPATH": "."}
        texts.add(
            subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True, env=env).stdout
        )
    assert len(texts) == 1


async def test_frozen() -> None:
    """Pinned over messages of its own, so that a changed prompt does not change it. See REVISION."""
    answers = []
    for user in range(4):
        lines = "\n".join(f"{n}. {e.item.title}" for n, e in enumerate(TEST.example(user).history, 1))
        request = Request(
            (Message("user", f"<history>\n{lines}\n</history>"),),
            format=dataclasses.replace(choice_format(["x"]), kind="json", name="", schema=json.dumps(SCHEMA)),
            about=about(user),
            samples=(0, 1),
        )
        for q in LEVELS:
            answers += [r.text for r in await Simulated(W, q).complete(request)]
    assert hashlib.sha256("\n".join(answers).encode()).hexdigest()[:16] == "d9f10c81f8a3dea6"


SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string", "maxLength": 200},
        "keywords": {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 6},
        "stance": {"type": "integer", "minimum": -2, "maximum": 2},
    },
}
