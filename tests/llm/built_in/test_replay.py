"""A recorded run answers again what it was asked, and nothing else."""

from __future__ import annotations

import pytest

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm import open as open_wrapped
from whyrec.llm.model import About, Message, Refused, Request, Sampling
from whyrec.llm.registry import open_provider
from whyrec.runs import Identity, Run
from whyrec.settings import read_settings

BLOCK = "<history>\n1. Warm socks\n</history>"
ASK = Request((Message("user", BLOCK),), samples=(0, 1), about=About(prompt="cot_rec/x", example="u7", user="u7"))


async def recorded(name: str = "extractive") -> tuple[str, list[str], list[float]]:
    settings = read_settings()
    identity = Identity(
        graph="g", data="d", data_digest="0", model=name, model_revision="1", prompts={}, options={"x": name}
    )
    run = Run.open(settings.home, identity)
    model = open_wrapped(name, settings=settings, run=run)
    texts = [reply.text for reply in await model.complete(ASK)]
    scores = [s.total for s in await model.score(ASK, ["warm", "cold"])]  # type: ignore[attr-defined]
    await model.close()
    run.close()
    return run.id, texts, scores


async def test_answers_and_scores_come_from_the_run() -> None:
    run_id, texts, scores = await recorded()
    model = open_provider(f"replay:{run_id}", settings=read_settings())
    replies = await model.complete(ASK)
    assert [(r.text, r.sample) for r in replies] == [(texts[0], 0), (texts[1], 1)] and replies[0].cost == 0.0
    assert [s.total for s in await model.score(ASK, ["warm", "cold"])] == pytest.approx(scores)  # type: ignore[attr-defined]
    await model.close()


async def test_what_was_not_asked_is_refused_by_name() -> None:
    run_id, _, _ = await recorded()
    model = open_provider(f"replay:{run_id}", settings=read_settings())
    other = Request(ASK.messages, Sampling(temperature=0.5), about=ASK.about)
    with pytest.raises(Refused, match=rf"{run_id} has no answer to sample 0 .*prompt cot_rec/x of u7"):
        await model.complete(other)
    with pytest.raises(Refused, match="texts to score"):
        await model.score(ASK, ["else"])  # type: ignore[attr-defined]
    await model.close()


def test_a_run_must_be_named_and_exist() -> None:
    with pytest.raises(UsageError, match="needs the id of a run"):
        open_provider("replay:", settings=read_settings())
    with pytest.raises(UnknownNameError):
        open_provider("replay:nothing", settings=read_settings())
