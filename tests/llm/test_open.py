"""`whyrec.llm.open`: the whole stack around one model, named by a string."""

import asyncio
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest

import whyrec.llm
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import Budget, Limits, registry
from whyrec.llm.model import (
    About,
    BudgetSpent,
    LanguageModel,
    Message,
    Reply,
    Request,
    Scorer,
    ServerFault,
    TokenScores,
    Usage,
)
from whyrec.llm.wrappers.budgeted import Budgeted
from whyrec.llm.wrappers.cached import Cached
from whyrec.llm.wrappers.limited import Limited
from whyrec.llm.wrappers.retrying import Retrying
from whyrec.llm.wrappers.stamped import Stamped
from whyrec.llm.wrappers.traced import Traced
from whyrec.runs import Identity, Run
from whyrec.settings import Settings

ASK = Request((Message("user", "?"),), about=About(user="u"))


class Fake:
    """What `fake:REST` opens."""

    def __init__(self, rest: str, world) -> None:
        self.name, self.revision, self.rest, self.world = f"fake:{rest}", "", rest, world
        self.asked: list[Request] = []
        self.errors: list[Exception] = []
        self.closed = 0

    async def complete(self, request):
        self.asked.append(request)
        if self.errors:
            raise self.errors.pop(0)
        await asyncio.sleep(0.005)
        return [Reply("yes", sample=s, usage=Usage(10, 5)) for s in request.samples]

    async def close(self):
        self.closed += 1


class FakeScorer(Fake):
    async def score(self, request, continuations):
        self.asked.append(request)
        return [TokenScores(c, (-1.0,)) for c in continuations]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    models: list[Fake] = []

    def open_(rest, *, settings, world):
        models.append((FakeScorer if rest == "scorer" else Fake)(rest, world))
        return models[-1]

    module = types.ModuleType("whyrec_fake_provider")
    module.open_ = open_
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(registry._SCHEMES, "fake", registry.Scheme(module.__name__, "open_", "", "fake:x"))
    return models


@pytest.fixture
def run(tmp_path: Path):
    run = Run.open(tmp_path, Identity("g", "d", "x", "m"))
    yield run
    run.close()


def layers(model: LanguageModel) -> list[type]:
    found = [type(model)]
    while (inner := getattr(model, "inner", None)) is not None:
        model = inner
        found.append(type(model))
    return found


async def test_the_order_is_that_of_design_rule_4(opened, run: Run, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    model = whyrec.llm.open("fake:x", settings=settings, run=run)
    assert layers(model) == [Stamped, Traced, Cached, Budgeted, Retrying, Limited, Fake]
    await model.close()
    model = whyrec.llm.open("fake:x", settings=settings, cache=False)
    assert layers(model) == [Stamped, Budgeted, Retrying, Limited, Fake]
    await model.close()
    assert [m.closed for m in opened] == [1, 1]


async def test_a_call_through_everything(opened, run: Run, tmp_path: Path) -> None:
    model = whyrec.llm.open("fake:x", settings=Settings(home=tmp_path), run=run, world="the world", retry=1)
    (fake,) = opened
    assert (fake.rest, fake.world, model.name) == ("x", "the world", "fake:x")
    fake.errors = [ServerFault("500")]
    replies = [reply for (reply,) in await asyncio.gather(*[model.complete(ASK) for _ in range(3)])]
    (hit,) = await model.complete(ASK)
    assert [r.cache for r in (*replies, hit)] == ["miss", "joined", "joined", "hit"]
    assert replies[0].attempts == 2 and replies[0].cost is None  # nobody knows what fake: costs
    assert [(r.about.run, r.retry) for r in fake.asked] == [(run.id, 1)] * 2
    rows = list(run.calls(user="u"))
    assert [r["cache"] for r in rows] == ["miss", "joined", "joined", "hit"]
    counts = run.counts()
    assert (counts.calls, counts.asked, counts.hits, counts.joined, counts.retries) == (4, 1, 1, 2, 1)
    assert counts.calls == counts.asked + counts.hits + counts.joined + counts.errors
    await model.close()


async def test_one_budget_for_two_roles_and_cache_hits_are_free(opened, tmp_path: Path) -> None:
    settings, budget = Settings(home=tmp_path), Budget(calls=2)
    one, two = (whyrec.llm.open(f"fake:{n}", settings=settings, budget=budget) for n in "ab")
    await one.complete(ASK)
    await two.complete(ASK)
    for _ in range(3):
        assert (await one.complete(ASK))[0].cache == "hit"
    with pytest.raises(BudgetSpent):
        await two.complete(replace(ASK, retry=0, prefix="new"))
    assert budget.spent.calls == 2
    await one.close()
    await two.close()


async def test_limits_reach_the_limiter(opened, tmp_path: Path) -> None:
    model = whyrec.llm.open("fake:x", settings=Settings(home=tmp_path), limits=Limits(concurrency=3))
    await asyncio.gather(*[model.complete(replace(ASK, prefix=str(i))) for i in range(9)])
    limited = model
    while not isinstance(limited, Limited):
        limited = limited.inner
    assert limited.limits.concurrency == 3
    await model.close()


async def test_scoring_passes_through_all_layers_where_the_model_scores(opened, run: Run, tmp_path: Path) -> None:
    model = whyrec.llm.open("fake:scorer", settings=Settings(home=tmp_path), run=run)
    assert isinstance(model, Scorer)
    assert await model.score(ASK, ["a"]) == await model.score(ASK, ["a"]) == [TokenScores("a", (-1.0,))]
    assert len(opened[0].asked) == 1 and [c["kind"] for c in run.calls()] == ["score", "score"]
    await model.close()
    plain = whyrec.llm.open("fake:x", settings=Settings(home=tmp_path), run=run)
    assert isinstance(plain, LanguageModel) and not isinstance(plain, Scorer)
    await plain.close()


def test_what_can_be_wrong(opened, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"Known: .*extractive"):
        whyrec.llm.open("fakke:x", settings=Settings(home=tmp_path))
    with pytest.raises(UsageError, match="price of fake:x"):
        whyrec.llm.open("fake:x", settings=Settings(home=tmp_path), budget=Budget(dollars=1.0))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file, but a folder is needed"):
        whyrec.llm.open("fake:x", settings=Settings(home=tmp_path / "file"))


def test_importing_runs_first_or_llm_first_makes_no_difference() -> None:
    import subprocess

    for first, second in (("whyrec.runs", "whyrec.llm.wrappers.cached"), ("whyrec.llm.wrappers.traced", "whyrec.runs")):
        subprocess.run([sys.executable, "-c", f"import {first}, {second}"], check=True)
