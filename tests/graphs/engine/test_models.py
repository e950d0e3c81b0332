"""Models by role, edited prompts and seeds: in the run's identity, its estimate and its trace."""

from __future__ import annotations

import asyncio

import pytest

import prompts
from agents.wording import Wording
from graphs.engine.estimate import estimate
from graphs.engine.models import read_models
from graphs.run import How, Models, execute, prepare
from graphs.workflow import workflow
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import open_run
from whyrec.settings import read_settings

DATA = "world:users=12,items=60,seed=3"


def job(graph: str, model: object, *, users: int = 3, **options):
    settings = read_settings()
    opened = open_data(DATA, settings=settings)
    how = How(settings=settings, world=opened.world)
    given = workflow(graph).options(**options)
    return prepare(graph, corpus=opened.data, model=model, options=given, users=users, how=how)


def test_each_role_is_asked_of_its_own_model() -> None:
    made = job("pulse.choose", Models("simulated:0.5", {"ranker": "simulated:1"}), selector="base")
    report = asyncio.run(execute(made))
    run = open_run(made.how.settings.home, report.run)
    by_node = {(call["node"], call["model"]) for call in run.calls()}
    assert ("choose", "simulated:1") in by_node and ("reason", "simulated:0.5") in by_node
    assert not {("choose", "simulated:0.5"), ("reason", "simulated:1")} & by_node


def test_identity_knows_what_is_not_as_in_every_run() -> None:
    plain = job("pulse.choose", "extractive", selector="none")
    assert "voices" not in plain.identity.settings
    same = job("pulse.choose", Models("extractive", {"ranker": "extractive"}), selector="none")
    assert same.identity.digest == plain.identity.digest, "the same model by role is the same run"
    copy = prompts.parse(prompts.load("pulse/choose").text + "\nQuickly.")
    others = [
        job("pulse.choose", Models("extractive", {"ranker": "echo"}), selector="none"),
        job("pulse.choose", Models("extractive", wording=Wording(seed=1)), selector="none"),
        job("pulse.choose", Models("extractive", wording=Wording({copy.name: copy})), selector="none"),
    ]
    assert len({one.identity.digest for one in (plain, *others)}) == 4
    assert others[2].identity.prompts == {"pulse/choose": copy.digest}


async def test_an_estimate_knows_what_each_role_costs() -> None:
    home = read_settings().home
    home.mkdir(parents=True)
    (home / "prices.toml").write_text('["echo"]\ninput = 1000.0\noutput = 0.0\n')
    mixed = job("pulse.choose", Models("extractive", {"ranker": "echo"}), selector="base")
    alone = job("pulse.choose", "echo", selector="base")
    found, whole = await estimate(mixed), await estimate(alone)
    (choose,) = [node for node in found.nodes if node.name == "choose"]
    assert found.dollars == choose.tokens_in / 1000 and 0 < found.dollars < whole.dollars


def test_models_are_read_as_typed() -> None:
    assert read_models([], "extractive") == ("extractive", {})
    told = read_models(["flaky:json=0.2:extractive", "judge=openai:m@http://x/v1?n=no"], "")
    assert told == ("flaky:json=0.2:extractive", {"judge": "openai:m@http://x/v1?n=no"})
    for given, words in ((["a", "b"], "whyrec compare"), (["judge=a", "judge=b"], "two models for the role judge")):
        with pytest.raises(UsageError, match=words):
            read_models(given, "")
    with pytest.raises(UnknownNameError, match=r"role in pulse\.choose"):
        job("pulse.choose", Models("extractive", {"teacher": "echo"}), selector="none")


@pytest.mark.parametrize(
    ("graph", "roles"),
    [
        ("pulse.refine", {"writer", "judge"}),
        ("pulse.choose", {"writer", "judge", "ranker"}),
        ("rallrec.predict", {"reasoner", "expert"}),
        ("scoter.distil", {"teacher"}),
        ("scoter.mine", {"writer", "student"}),
        ("cot_rec.recommend", {"writer", "ranker"}),
    ],
)
def test_the_roles_there_are(graph: str, roles: set[str]) -> None:
    assert set(workflow(graph).roles) == roles


def test_judge_and_expert_are_asked_by_their_nodes() -> None:
    tree = job("pulse.refine", Models("extractive", {"judge": "echo"}), users=1, prune="value", rationales="none")
    clicks = job("rallrec.predict", Models("extractive", {"expert": "echo"}), users=1, expert="model", samples=2)
    for made, node in ((tree, "judge"), (clicks, "consult")):
        report = asyncio.run(execute(made))
        calls = list(open_run(made.how.settings.home, report.run).calls())
        assert {call["model"] for call in calls if call["node"] == node} == {"echo"}
        assert {call["model"] for call in calls if call["node"] != node} <= {"extractive"}
