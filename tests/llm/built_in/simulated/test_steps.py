"""What the simulated model makes of steps, opinions and thoughts: names of steps are names, opinions are read."""

from __future__ import annotations

import dataclasses
import hashlib
import random

import numpy as np

from agents import scoter
from agents.rallrec import reason
from agents.ranker import Chooser
from whyrec.data.generated import world
from whyrec.data.split import SplitView
from whyrec.llm.built_in.blocks import tokens
from whyrec.llm.built_in.simulated.model import Simulated
from whyrec.llm.built_in.simulated.steps import own_path, shared
from whyrec.llm.model import About, Message

W = world.make(users=200, items=200)
TOPIC = {word: t for t, words in enumerate(W.truth.topic_words) for word in words}
TEST = SplitView(W.corpus, "test")
USERS = range(80)


def about(user):
    return About(user=W.corpus.user_ids[user], split="test")


def told(texts, user) -> float:
    """Cosine between the topics of all words and the user's taste of the moment."""
    counts = np.zeros(8)
    for word in tokens(" ".join(texts)):
        counts[TOPIC[word]] += word in TOPIC if word in TOPIC else 0
    taste = W.truth.taste(user, len(TEST.history(user))).astype(float)
    return float(counts @ taste / max(1e-9, np.linalg.norm(counts) * np.linalg.norm(taste)))


def words_of(texts):
    return [" ".join(w for w in tokens(text) if w in TOPIC) for text in texts]


async def followed(q, steps):
    """Mean truth and mean words of the recommendations along steps."""
    model, truths, words = Simulated(W, q), [], []
    for user in USERS:
        history = TEST.example(user).history
        found = await scoter.follow(model, about=about(user), steps=steps, history=history)
        assert len(found.recommendations) == 20 and len(found.reason) == len(steps)
        said = words_of(found.recommendations)
        truths.append(told(said, user))
        words.append(np.mean([len(text.split()) for text in said]))
    return float(np.mean(truths)), float(np.mean(words))


def test_own_paths_end_in_the_recommendation() -> None:
    rng = random.Random(0)
    paths = [own_path(rng) for _ in range(400)]
    assert all(2 <= len(p) <= 6 and p[-1] == "Item recommendation" and len(set(p)) == len(p) for p in paths)
    assert len({len(p) for p in paths}) == 5


def test_a_template_is_what_paths_share() -> None:
    paths = ["User profile summary → Recent shift → Item recommendation"] * 3 + ["Habits → Item recommendation"]
    assert shared(paths) == ("User profile summary", "Recent shift", "Item recommendation")
    assert shared(paths[-1:]) == ("Habits", "Item recommendation")


async def test_what_steps_are_called_changes_nothing() -> None:
    """Sensible names, keywords that once unlocked something, and nonsense: the recommendations are as true."""
    for q in (0.5, 1.0):
        told = [
            await followed(q, steps)
            for steps in (
                ("User profile summary", "Preference trend analysis", "Item tag prediction", "Item recommendation"),
                ("What they bought", "What moved lately", "What it is like", "What to offer"),
                ("Brolfen wisk", "Orda mipple", "Vekkan slo", "Quandle"),
            )
        ]
        truths, words = zip(*told, strict=True)
        assert max(truths) - min(truths) < 0.1 and max(words) - min(words) < 0.2


async def test_a_path_of_its_own_is_followed() -> None:
    model = Simulated(W, 1.0)
    for user in range(10):
        found = await scoter.generate(model, about=about(user), history=TEST.example(user).history)
        assert [r.partition(":")[0] for r in found.reason] == list(found.cot_path)


def blanks(user, opinion="", thoughts=""):
    history = TEST.example(user, last=8).history
    item = W.corpus.item(1 + (7 * user) % 200)
    return {"profile": "", "history": history, "above": "3", "opinion": opinion, "item": item, "thoughts": thoughts}


async def likes(q, user, prefix="", **given):
    read = await Chooser("rallrec/click")(
        Simulated(W, q), ("Yes", "No"), about=about(user), prefix=prefix, **blanks(user, **given)
    )
    return read.probabilities["Yes"]


async def test_an_opinion_moves_a_yes_towards_it():
    for q in (0.5, 1.0):
        up = [await likes(q, u, opinion="Someone else thinks the answer is Yes.") for u in range(30)]
        down = [await likes(q, u, opinion="Someone else thinks the answer is No.") for u in range(30)]
        assert np.mean(up) > np.mean(down) + 0.1


async def test_thoughts_decide_more_than_a_glance():
    yes = [await likes(1.0, u, prefix="<think>\nBoth fit.\nAnswer: Yes.\n</think>\n\n") for u in range(30)]
    no = [await likes(1.0, u, prefix="<think>\nNothing fits.\nAnswer: No.\n</think>\n\n") for u in range(30)]
    assert min(yes) > 0.5 > max(no)
    shown = [await likes(1.0, u, thoughts="Nothing fits. Answer: No.") for u in range(10)]
    assert max(shown) < 0.5


async def test_reasoning_ends_in_an_answer_that_follows_the_match():
    right = 0
    for user in USERS:
        given = {k: v for k, v in blanks(user).items() if k != "thoughts"}
        (found,) = await reason(Simulated(W, 1.0), 1, about=about(user), **given)
        taste = W.truth.taste(user, len(TEST.history(user))).astype(float)
        topics = W.truth.item_topics[given["item"].index].astype(float)
        match = topics @ taste / np.linalg.norm(topics) / np.linalg.norm(taste)
        assert found.text.rstrip().endswith(("Answer: Yes.", "Answer: No."))
        right += found.text.rstrip().endswith("Answer: Yes.") == (match > 0.45)
    assert right > 0.6 * len(USERS)


async def test_frozen():
    """Pinned over choices, chains and thoughts. See REVISION in whyrec/llm/built_in/simulated/model.py."""
    said = []
    lines = "\n".join(f"{n}. {event.item.title}" for n, event in enumerate(HISTORY, 1))
    shown = f"<steps>\n1. Profile\n2. Trend\n</steps>\n<history>\n{lines}\n</history>"
    for user in range(3):
        for q in (0.3, 1.0):
            request = scoter.follow.request(1, about(user), {"steps": ("Profile", "Trend"), "history": HISTORY})
            bare = dataclasses.replace(request, messages=(Message("user", shown),))
            said += [r.text for r in await Simulated(W, q).complete(bare)]
    assert hashlib.sha256("\n".join(said).encode()).hexdigest()[:16] == "c3b608cd8619ed21"


HISTORY = TEST.example(0, last=6).history
