"""How answers are drawn and what is told of them: several samples, seeds, log-probabilities, scores of given texts."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from dataclasses import replace

from whyrec.llm.capabilities import SHOWN, WIDE, ScoreWay
from whyrec.llm.model import Message, Request
from whyrec.llm.providers.openai_fields import whole
from whyrec.llm.servers.checking.asking import POEM, Asker
from whyrec.llm.servers.checking.finding import Finding, Outcome, attempt


async def several(asker: Asker) -> Finding:
    """Three samples from one request, or two where the server (llama.cpp) says that it has two slots."""
    slots = whole((await asker.props()).get("total_slots"))
    asker.found = replace(asker.found, n=False, slots=slots)
    if slots == 1:
        return Finding("n", "no", "it has one slot; one request per sample will be sent")
    asked = min(3, slots or 3)
    went, replies = await attempt(lambda: asker.ask(samples=asked, n=asked, temperature=1.0))
    if len(replies) == asked:
        asker.found = replace(asker.found, n=True)
        return Finding("n", "yes", f"up to {slots} samples from one request" if slots else "n samples from one request")
    return Finding("n", "ignored" if went == "yes" else went, "one request per sample will be sent")


async def seed(asker: Asker) -> Finding:
    """The same seed must give the same answer, another one another answer."""

    async def draw(number: int) -> str:
        return await asker.text(seed=number, temperature=1.0, max_tokens=24)

    went, texts = await attempt(lambda: _each(draw, (7, 7, 8, 9)))
    if went != "yes":
        asker.found = replace(asker.found, seed=False)
        return Finding("seed", went)
    same, differs = texts[0] == texts[1], len(set(texts)) > 1
    asker.found = replace(asker.found, seed=same and differs)
    if same and differs:
        return Finding("seed", "yes", "the same seed gave the same answer, another seed another one")
    note = "every seed gave the same answer" if same else "the same seed gave different answers"
    return Finding("seed", "ignored", note)


async def logprobs(asker: Asker) -> Finding:
    """As many of the likeliest tokens as it shows; more than `SHOWN` let labels be read that are not among those."""
    outcome: Outcome = "refused"
    for top in (WIDE, SHOWN, 5, 1):
        went, replies = await attempt(
            lambda top=top: asker.ask(logprobs=True, top_logprobs=top, max_tokens=1)  # type: ignore[misc]
        )
        if went != "yes":
            continue
        if (told := replies[0].logprobs) and (shown := told[0].top):
            asker.found = replace(asker.found, logprobs=len(shown))
            return Finding("log-probabilities", "yes", f"the {len(shown):,} likeliest tokens")
        outcome = "ignored"
    asker.found = replace(asker.found, logprobs=0)
    return Finding("log-probabilities", outcome, "labels need another server, or scoring")


async def score(asker: Asker) -> Finding:
    """The log-likelihood of a given text, which is below 0."""
    request = Request((Message("user", POEM),))
    ways: tuple[ScoreWay, ...] = ("tokens", "echo")
    for way in ways:
        client = copy.copy(asker.model)
        client.can = replace(asker.found, score=way)
        went, scores = await attempt(lambda client=client: client.score(request, ["rain"]))  # type: ignore[misc]
        if went == "yes" and scores[0].total < 0:
            asker.found = replace(asker.found, score=way)
            note = "/tokenize and prompt_logprobs" if way == "tokens" else "echo, on plain text without chat template"
            return Finding("score given text", "yes", note)
    asker.found = replace(asker.found, score="none")
    return Finding("score given text", "refused")


async def _each(draw: Callable[[int], Awaitable[str]], seeds: tuple[int, ...]) -> list[str]:
    return [await draw(number) for number in seeds]
