"""A model that cannot do it is stopped early, with evidence; one that can is not held back."""

from __future__ import annotations

import json
import re

import pytest

from graphs.run import run
from whyrec.data.generated.world import make
from whyrec.llm.model import Reply
from whyrec.runs import open_run
from whyrec.settings import read_settings


class Copier:
    """Fills the form with its own placeholders, as small models do; answers well from call `after` on."""

    name, revision = "copier", ""

    def __init__(self, good=lambda number: False):
        self.asked, self._good = 0, good

    async def complete(self, request):
        self.asked += 1
        return [Reply(self._said(request), sample=sample) for sample in request.samples]

    def _said(self, request):
        if self._good(self.asked):
            return json.dumps(
                {
                    "type": "a thing",
                    "topics": ["one"],
                    "audience": "people",
                    "text": f"Thing {self.asked} is made for use at home.",
                }
            )
        schema = json.loads(request.format.schema)
        return json.dumps({name: _copied(node) for name, node in schema["properties"].items()})

    async def close(self):
        pass


def _copied(node):
    if node["type"] == "array":
        return [_copied({**node["items"], "description": node.get("description", "")})] * max(
            1, node.get("minItems", 1)
        )
    if node["type"] == "object":
        return {name: _copied(inner) for name, inner in node["properties"].items()}
    return (
        node.get("description", "the words")
        if node["type"] == "string"
        else node.get("enum", [node.get("minimum", 0)])[0]
    )


@pytest.fixture(scope="module")
def corpus():
    return make(users=60, items=80).corpus


@pytest.mark.parametrize("graph", ["cot_rec.describe", "cot_rec.perception", "cot_rec.preference", "pulse.rationale"])
async def test_a_model_that_copies_placeholders_stops_within_forty_calls(corpus, how, graph):
    model = Copier()
    report = await run(graph, corpus=corpus, model=model, how=how(cache=False, concurrency=256))
    assert report.ending == "unfit" and report.exit_code == 1 and report.left > 0
    assert model.asked <= 40 and report.now.calls.calls == model.asked
    assert "copies the placeholders of its instructions" in report.reason and "--keep-going" in report.reason
    assert 1 <= len(re.findall("«[^»]+»", report.reason)) <= 2 and len(report.reason) < 1200
    assert report.unusable["placeholder"] > 10 and sum(report.unusable.values()) == model.asked


async def test_what_is_done_is_kept_and_the_same_command_goes_on(corpus, how):
    first = await run("cot_rec.describe", corpus=corpus, model=Copier(), how=how(cache=False))
    stopped = open_run(read_settings().home, first.run)
    assert stopped.counts().failed == first.failed and stopped.info()["state"] == "stopped"
    assert stopped.unusable()["placeholder"] == first.unusable["placeholder"] and stopped.counts().usable == 0
    stopped.close()
    better = Copier(good=lambda number: True)
    second = await run("cot_rec.describe", corpus=corpus, model=better, how=how(cache=False))
    assert second.run == first.run and second.left == 0 and second.done == second.examples - first.failed
    assert second.unusable == {}


async def test_keep_going_goes_on(corpus, how):
    report = await run("cot_rec.describe", corpus=corpus, model=Copier(), how=how(cache=False, keep_going=True))
    assert report.ending == "done" and report.failed > 70


async def test_a_model_that_needs_to_be_told_once_is_not_stopped(corpus, how):
    class Second(Copier):
        def _said(self, request):
            self._good = lambda number: request.about.turn == 1
            return super()._said(request)

    report = await run("cot_rec.describe", corpus=corpus, model=Second(), how=how(cache=False, concurrency=64))
    assert report.ending == "done" and report.failed == 0 and report.now.calls.repairs >= report.done - 1


async def test_a_good_model_gets_all_its_workers_after_the_first(corpus, how, counting):
    model = counting(delay=0.01)
    report = await run("cot_rec.describe", corpus=corpus, model=model, how=how(cache=False, concurrency=64))
    assert report.done == report.examples and 20 < model.most <= 64
