"""What holds of every graph: nodes write only fields of the state, it can be drawn, it runs on a small world."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
import typing

import pytest
from typing_extensions import TypedDict, is_typeddict

import prompts
from graphs.engine.draw import PAGE, page
from graphs.run import prepare, run
from graphs.workflow import names, option_help, read_options, workflow
from whyrec.data.generated.facts import make as make_facts
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError, UsageError


def node_functions(name):
    """(node name, its function) of a built graph."""
    return [(node, spec.runnable.afunc) for node, spec in workflow(name).build().builder.nodes.items()]


def update_faults(state, function) -> list[str]:
    """What is wrong with a node's update type: LangGraph drops misspelt keys without a word."""
    module = sys.modules[function.__module__]
    update = typing.get_type_hints(function, vars(module))["return"]
    if not is_typeddict(update):
        return [f"{function.__name__} does not return a TypedDict"]
    unknown = set(update.__annotations__) - {f.name for f in dataclasses.fields(state)}
    required = getattr(update, "__required_keys__", frozenset())
    return [f"{function.__name__} writes {key}, which is no field" for key in sorted(unknown | set(required))]


@pytest.mark.parametrize("name", names())
def test_nodes_are_async_verbs_that_write_fields_of_a_frozen_state(name):
    flow = workflow(name)
    assert dataclasses.is_dataclass(flow.state) and flow.state.__dataclass_params__.frozen
    found = node_functions(name)
    assert found
    for node, function in found:
        assert inspect.iscoroutinefunction(function), node
        assert list(inspect.signature(function).parameters) == ["state", "runtime"], node
        assert update_faults(flow.state, function) == []


def test_the_check_finds_a_misspelt_key():
    class Wrong(TypedDict, total=False):
        sort: str

    async def verb(state, runtime):
        return {}

    verb.__annotations__["return"] = Wrong
    assert update_faults(workflow("cot_rec.preference").state, verb) == ["verb writes sort, which is no field"]


# What a graph with default options finds among the earlier runs; the message of pulse.refine names the command.
BUILDS_ON = {"pulse.refine": "pulse.rationale", "pulse.choose": "pulse.rationale"}


OF_QUESTIONS = ("hotpotqa.react",)


def data_for(name, world):
    """Data of the kind that this graph is about."""
    return make_facts(20).questions if name in OF_QUESTIONS else world.corpus


async def first(name, world, model, how):
    """Make the run that this graph builds on."""
    if before := BUILDS_ON.get(name):
        report = await run(before, corpus=world.corpus, model=model, how=how())
        assert report.exit_code == 0


@pytest.mark.parametrize("name", names())
async def test_every_graph_runs_on_the_small_world_with_the_extractive_model(name, world, how):
    await first(name, world, "extractive", how)
    data = data_for(name, world)
    report = await run(name, corpus=data, model="extractive", users=12, how=how())
    assert report.ending == "done" and report.failed == 0 and report.exit_code == 0
    assert report.done == report.examples > 0
    assert report.results.exists()
    manifest = json.loads((report.results.parent / "manifest.json").read_text())
    assert manifest["data_digest"] == data.digest and manifest["done"] == report.done


@pytest.mark.parametrize("mode", ["official_keywords", "official_json"])
async def test_the_official_modes_of_preference_run(mode, world, how):
    flow = workflow("cot_rec.preference")
    options = flow.options(mode=mode)
    report = await run(flow.name, corpus=world.corpus, model="extractive", options=options, users=8, how=how())
    assert (report.done, report.failed) == (8, 0)


@pytest.mark.parametrize("mode", ["three_step", "official_json"])
async def test_the_other_modes_of_perception_run(mode, world, how):
    flow = workflow("cot_rec.perception")
    options = flow.options(mode=mode, candidates=4, split="valid")
    report = await run(flow.name, corpus=world.corpus, model="extractive", options=options, users=4, how=how())
    assert (report.done, report.failed) == (4, 0)


@pytest.mark.parametrize("name", names())
async def test_calls_are_counted_before_they_are_made(name, world, how, counting):
    """The estimate's upper bound is exact without a cache, for every mode."""
    await first(name, world, counting(), how)
    flow, data = workflow(name), data_for(name, world)
    modes = [m for option, kind, _ in option_help(flow) if option == "mode" for m in kind.split(" | ")] or [None]
    for mode in modes:
        options = flow.options(**({"mode": mode} if mode else {}))
        expected = prepare(name, corpus=data, model=counting(), options=options, users=7, how=how())
        report = await run(name, corpus=data, model=counting(), options=options, users=7, how=how(cache=False))
        assert report.failed == 0
        upper = expected.inputs.calls()
        assert report.now.calls.calls <= upper
        shares_items = mode in ("official_keywords", "perception") or (
            name == "cot_rec.perception" and mode != "official_json"
        )
        # drafts that name the target are drawn again; echo scores no texts
        depends_on_answers = name in ("pulse.rationale", "pulse.refine")
        if not shares_items and not depends_on_answers:
            assert report.now.calls.calls == upper


@pytest.mark.parametrize("name", names())
async def test_prompts_and_recursion_limits_are_known_before(name, world, how):
    await first(name, world, "echo", how)
    job = prepare(name, corpus=data_for(name, world), model="echo", users=5, how=how())
    assert set(job.flow.prompts(job.inputs.options)) <= set(prompts.names())
    assert all(5 <= job.flow.steps(job.inputs.state(int(i))) < 100 for i in job.inputs.indices[:5])


def test_the_drawn_page_is_fresh():
    assert PAGE.read_text() == page(), "run python -m graphs.engine.draw"


def test_an_unknown_graph_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match=re.escape("Did you mean 'cot_rec.preference'?")):
        workflow("cot_rec.preferense")


def test_options_are_read_from_text_and_typos_are_named():
    flow = workflow("cot_rec.preference")
    assert read_options(flow, {"batch": "5", "mode": "loop"}) == flow.options(batch=5)
    with pytest.raises(UnknownNameError, match="overlap"):
        read_options(flow, {"overlapp": "1"})
    with pytest.raises(UsageError, match="whole number, not 'five'"):
        read_options(flow, {"batch": "five"})
    with pytest.raises(UsageError, match="is one of loop"):
        read_options(flow, {"mode": "lop"})


def test_keys_are_those_of_the_split_view(world, how):
    job = prepare("cot_rec.preference", corpus=world.corpus, model="echo", how=how())
    view = SplitView(world.corpus, "test")
    assert [job.inputs.key(int(i)) for i in job.inputs.indices] == [e.key for e in view.examples()]
