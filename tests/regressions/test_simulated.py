"""The simulated model reads its prompt and nothing else: other words around the same data change no outcome.

Every workflow runs over a generated world, once in the house's words and then in edited copies: all instructions in
words that do not exist, paraphrased sentences in another order, and other names of steps. Outcomes are paired by
example; a mean difference counts as noise below four standard errors of it. Other samples of the *same* words stay
below three (docs/decisions/0010), and with sixteen examples four is once in nine hundred by chance.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import prompts
from agents.wording import Wording
from graphs.run import How, run
from graphs.workflow import workflow
from whyrec.data import open_data
from whyrec.data.questions import Gold
from whyrec.data.split import SplitView
from whyrec.llm import open_provider
from whyrec.llm.model import About, Message, Request
from whyrec.runs import open_run
from whyrec.settings import Settings

Vector = npt.NDArray[np.float64]
Change = Callable[[str], str]
DATA, MODEL, USERS = "world:users=48,items=60,seed=7", "simulated:1", 16
FACTS = "facts:questions=48,seed=7"
TOLERANCE = 4.0  # standard errors of a mean paired difference
FLOWS: Mapping[str, Mapping[str, Any]] = {
    "cot_rec.describe": {},
    "cot_rec.preference": {},
    "cot_rec.perception": {},
    "cot_rec.recommend": {"retriever": "frozen"},
    "pulse.rationale": {},
    "pulse.refine": {"rationales": "none", "selectors": "embedding"},
    "pulse.choose": {"selector": "none"},
    "scoter.generate": {"template": "five_step", "split": "test"},
    "scoter.validate": {},
    "scoter.mine": {"sample": 12, "fresh": 12},
    "scoter.distil": {"template": "five_step"},
    "rallrec.predict": {"expert": "none", "hint": "none", "samples": 2},
    "hotpotqa.react": {},
}
STEPS = "<steps>\n1. Brolfen wisk\n2. Orda mipple trun\n3. Vekkan slo\n4. Quandle pirr\n5. Zonnet\n</steps>"
FORMS = ("cot_rec.preference", "pulse.choose", "scoter.generate", "scoter.distil", "rallrec.predict", "hotpotqa.react")
SYNONYMS = {
    "user": "customer", "users": "customers", "item": "article", "items": "articles", "history": "past",
    "likely": "probable", "most": "chiefly", "choose": "pick", "write": "put down", "say": "tell", "answer": "reply",
    "text": "passage", "block": "part", "holds": "contains", "recommender": "suggestion", "think": "reflect",
    "steps": "stages", "reason": "ground", "question": "query", "paragraphs": "sections", "next": "afterwards",
}  # fmt: skip


def test_outcomes_do_not_depend_on_how_instructions_and_steps_are_worded(tmp_path: Path) -> None:
    """See the module. Before, a step called "trend" read the user's taste, and "Answer:" brought a verdict."""
    moved: dict[str, str] = {}
    for flow in FLOWS:
        house = _outcomes(flow, {}, tmp_path / "house" / flow)
        other = {"nonsense": _copies(flow, _nonsense)}
        if flow in FORMS:  # one of each form of answer
            other["paraphrased, in another order"] = _copies(flow, _paraphrased)
        if flow == "scoter.generate":
            other["other names of steps"] = _renamed()
        for way, copies in other.items():
            if told := _compared(house, _outcomes(flow, copies, tmp_path / way / flow)):
                moved[f"{flow}, {way}"] = told
    assert not moved, moved


@pytest.mark.parametrize("asked", ["written", "chosen"])
async def test_an_answer_does_not_depend_on_who_asks(asked: str, tmp_path: Path) -> None:
    """The same prompt asked about two users is answered alike, whoever they are."""
    opened = open_data(DATA, settings=Settings(home=tmp_path))
    lines = "\n".join(f"{n}. {_title(opened, 0, n)}" for n in range(1, 5))
    options = "<candidates>\nA) Boots\nB) Grinder\n</candidates>" if asked == "chosen" else ""
    request = Request((Message("user", f"<history>\n{lines}\n</history>\n{options}"),), about=About())
    model = open_provider("simulated:1", settings=Settings(home=tmp_path), world=opened.world)
    texts = set()
    for user in opened.data.user_ids[:8]:
        about = About(user=user, split="test")
        texts.add((await model.complete(_of(request, about)))[0].text)
    assert len(texts) == 1, texts


def _of(request: Request, about: About) -> Request:
    return Request(request.messages, about=about, samples=request.samples)


def _title(opened: Any, user: int, place: int) -> str:
    return str(opened.data.item(int(SplitView(opened.data, "test").history(user)[place - 1])).title)


def _outcomes(flow: str, copies: Mapping[str, prompts.Prompt], home: Path) -> dict[str, float]:
    """One number per example of a workflow run in these words."""
    import asyncio

    settings = Settings(home=home)
    opened = open_data(FACTS if flow.startswith("hotpotqa") else DATA, settings=settings)
    model = Wording(copies).around(open_provider(MODEL, settings=settings, world=opened.world))
    options = workflow(flow).options(**FLOWS[flow])
    how = How(settings=settings, world=opened.world)
    report = asyncio.run(run(flow, corpus=opened.data, model=model, options=options, users=USERS, how=how))
    found = open_run(home, report.run)
    try:
        payloads = {result.key: dict(result.payload) for result in found.results("done")}
    finally:
        found.close()
    assert payloads, f"{flow} answered nothing"
    return _numbers(flow, payloads, opened, getattr(options, "split", "test"))


def _numbers(flow: str, payloads: Mapping[str, Any], opened: Any, split: str) -> dict[str, float]:
    """What every example came to, higher meaning nearer to the truth of the world (of `predict`: a yes)."""
    if flow == "hotpotqa.react":
        gold, places = Gold(opened.data), {f"question/{q.id}": i for i, q in enumerate(opened.data.questions)}
        return {key: float(p["answer"] == gold.answer(places[key])) for key, p in payloads.items()}
    if flow == "rallrec.predict":
        return {key: float(p["own"]) for key, p in payloads.items()}
    if flow == "scoter.mine":
        (payload,) = payloads.values()
        return {name: float(told["percentile"]["mean"]) for name, told in payload["comparison"].items()}
    if flow == "scoter.validate":
        return {key: float(np.mean([c["percentile"] for c in p["chains"]])) for key, p in payloads.items()}
    truth, found = opened.world.truth, {}
    for key, payload in payloads.items():
        if flow == "cot_rec.describe":
            wanted = truth.item_topics[payload["index"]].astype(float)
        else:
            user = int(opened.data.user_index[payload["user"]])
            wanted = truth.taste(user, len(SplitView(opened.data, split).history(user))).astype(float)
        if flow in ("pulse.choose", "cot_rec.recommend"):
            found[key] = _mass(payload, truth.item_topics, wanted)
        else:
            found[key] = _agreement(" ".join(_texts(flow, payload)), truth.topic_words, wanted)
    return found


def _texts(flow: str, payload: Mapping[str, Any]) -> list[str]:
    """What a model wrote into a payload."""
    match flow:
        case "cot_rec.perception":
            return [p["phrase"] for p in payload["perceptions"] if p["stance"] > 0]
        case "pulse.refine":
            return [str(thought["text"]) for thought in payload["thoughts"]]
        case "scoter.generate":
            return [text for chain in payload["chains"] for text in chain["recommendations"]]
        case "scoter.distil":
            return [payload["overall"], *payload["sections"], payload["summary"]]
    return [str(payload["text"])]


def _mass(payload: Mapping[str, Any], topics: Any, wanted: Vector) -> float:
    """How well the candidates suit the taste, weighted by their probabilities."""
    shown = payload["shown"]
    shown = shown[0] if isinstance(shown[0], list) else shown
    match = np.array([_cosine(topics[i].astype(float), wanted) for i in shown])
    return float(np.array(payload["probabilities"][0]) @ match)


def _agreement(text: str, words: Any, wanted: Vector) -> float:
    topic_of = {word: t for t, some in enumerate(words) for word in some}
    counts = np.zeros(len(wanted))
    for word in re.findall(r"[\w'-]+", text.lower()):
        if word in topic_of:
            counts[topic_of[word]] += 1
    return _cosine(counts, wanted)


def _cosine(a: Vector, b: Vector) -> float:
    return float(a @ b / max(1e-9, math.sqrt(float((a @ a) * (b @ b)))))


def _compared(one: Mapping[str, float], other: Mapping[str, float]) -> str:
    """How far two runs are apart where that is more than noise, else ""."""
    keys = sorted(one.keys() & other.keys())
    assert len(keys) > 0.8 * len(one), "most examples are answered in both"
    difference = np.array([other[key] - one[key] for key in keys])
    error = float(difference.std(ddof=1)) / math.sqrt(len(keys)) + 1e-6
    mean = float(difference.mean())
    return f"{mean:+.3f}, {mean / error:+.1f} standard errors" if abs(mean) > TOLERANCE * error else ""


def _copies(flow: str, change: Change) -> dict[str, prompts.Prompt]:
    """Edited copies of every prompt that a workflow uses."""
    names = workflow(flow).prompts(workflow(flow).options(**FLOWS[flow]))
    return {name: prompts.parse(_edited(prompts.load(name).text, change), where=name) for name in names}


def _edited(text: str, change: Change) -> str:
    """A prompt whose instructions are changed; front matter, data blocks, blanks and shapes of answers stay."""
    start = text.index("\n---", 3) + 4
    lines, kept, asks, block = text[start:].split("\n"), [], [], ""
    for line in lines:
        opens = re.fullmatch(r"<(\w+)>", line)
        form = line.startswith(("# ", '{"')) or "{{" in line or "{%" in line or not line.strip()
        if opens and not block:
            block = opens[1]
        if form or block:
            kept += [change("\n".join(asks))] if asks else []
            asks = []
            kept.append(line)
        else:
            asks.append(line)
        if line == f"</{block}>":
            block = ""
    return text[:start] + "\n".join([*kept, *([change("\n".join(asks))] if asks else [])])


def _nonsense(text: str) -> str:
    def word(found: re.Match[str]) -> str:
        raw = hashlib.blake2b(found[0].lower().encode(), digest_size=4).digest()
        made = "".join("bdfgklmnprstv"[b % 13] + "aeiou"[b % 5] for b in raw[: 1 + len(found[0]) // 3])
        return made.capitalize() if found[0][0].isupper() else made

    return re.sub(r"[A-Za-z]{2,}", word, text)


def _paraphrased(text: str) -> str:
    said = [s for line in text.split("\n") for s in re.split(r"(?<=[.:;])\s+", line) if s.strip()]
    random.Random(len(text)).shuffle(said)
    return "\n".join(re.sub(r"[A-Za-z]+", lambda w: SYNONYMS.get(w[0].lower(), w[0]), s) for s in said)


def _renamed() -> dict[str, prompts.Prompt]:
    """A copy that has steps of its own in the place of those it is given."""
    text = re.sub(r"^  steps: .*\n", "", prompts.load("scoter/follow").text, flags=re.MULTILINE)
    copy = prompts.parse(re.sub(r"<steps>.*?</steps>", STEPS, text, flags=re.DOTALL), where="scoter/follow")
    return {copy.name: copy}
