"""What any other model really does, asked through the seam alone: it says itself what it can do, so nothing is kept."""

from __future__ import annotations

import json
from dataclasses import replace

from whyrec.llm.model import AnswerFormat, LanguageModel, Message, Request, Sampling, Scorer
from whyrec.llm.servers.checking.asking import POEM
from whyrec.llm.servers.checking.finding import Finding, attempt
from whyrec.llm.servers.checking.shapes import SCHEMA, is_the_word


async def check_model(model: LanguageModel) -> list[Finding]:
    """Probe a model that is no server's with seven short requests.

    Raises:
        ModelError: it does not answer the simplest question.
    """
    plain = Request((Message("user", POEM),), Sampling(max_tokens=16))
    (reply,) = await model.complete(plain)
    findings = [Finding("chat", "yes", f"answers as {reply.model or model.name}")]
    shaped = replace(plain, format=AnswerFormat("json", "code", json.dumps(SCHEMA)))
    went, replies = await attempt(lambda: model.complete(shaped))
    holds = went == "yes" and is_the_word(replies[0].text)
    findings.append(Finding("JSON schema", "yes" if holds else "ignored" if went == "yes" else went))
    drawn = replace(plain, sampling=Sampling(temperature=1.0, seed=7, max_tokens=16), samples=(0, 1, 2))
    went, replies = await attempt(lambda: model.complete(drawn))
    findings.append(Finding("n", went, f"{len({r.text for r in replies})} distinct of 3" if went == "yes" else ""))
    again, repeated = await attempt(lambda: model.complete(drawn))
    same = went == again == "yes" and [r.text for r in replies] == [r.text for r in repeated]
    findings.append(Finding("seed", "yes" if same else "ignored", "the same seed must give the same answers"))
    went, replies = await attempt(lambda: model.complete(replace(plain, top_logprobs=5)))
    shown = went == "yes" and bool(replies[0].logprobs)
    findings.append(Finding("log-probabilities", "yes" if shown else "ignored" if went == "yes" else went))
    went, _ = await attempt(lambda: model.complete(replace(plain, prefix="Rain")))
    findings.append(Finding("prefix", went))
    went = (await attempt(lambda: model.score(plain, ["rain"])))[0] if isinstance(model, Scorer) else "no"
    return [*findings, Finding("score given text", went)]
