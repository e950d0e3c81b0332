"""Probabilities over option labels ("A", "B", ...; "Yes", "No"), the same way from every model that can say them.

The softmax runs over the allowed labels only (spec 1.4). A server that shows log-probabilities shows those of its
likeliest tokens, so: ask for one token restricted to the labels where the server can restrict (vLLM, local weights),
take the labels' log-probabilities at the first token and renormalise. The normaliser over the rest of the vocabulary
cancels, so this is exact when every label is shown, masked or not. A label that is *not* shown is not impossible, so
then a server that shows more of its tokens (llama.cpp) is asked for them, and else each label is scored as a
continuation; a model that can do neither is an error, unless the caller allows the last way: the one label the model
says gets probability 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeAlias, cast

from whyrec.errors import UsageError
from whyrec.llm.capabilities import SHOWN
from whyrec.llm.model import AnswerFormat, LanguageModel, ModelError, Refused, Request, Scorer, TokenLogprob

Way: TypeAlias = Literal["logprobs", "score", "answer"]
_MASKED = -1_000.0  # vLLM writes -9999.0 for minus infinity


class NoLabel(ModelError):
    """The model answered, but with none of the labels: this example has no reading, others may have one."""


@dataclass(frozen=True, slots=True)
class LabelReading:
    """What a model thinks of the labels.

    Attributes:
        probabilities: label -> probability, float64, summing to 1, in the order asked.
        way: "logprobs" (of the first token), "score" (each label as a continuation), "answer" (the label it said).
        mass: probability of all labels together before renormalisation, where the way knows it: near 1 if the server
            masked the rest or the model understood, near 0 if it wanted to say something else. NaN if not known.
    """

    probabilities: dict[str, float]
    way: Way
    mass: float


def choice_format(labels: Sequence[str]) -> AnswerFormat:
    """The answer format "exactly one of these texts"."""
    return AnswerFormat("text", "choice", json.dumps({"type": "string", "enum": list(labels)}, ensure_ascii=False))


@lru_cache(maxsize=256)
def choices_of(shape: AnswerFormat) -> tuple[str, ...]:
    """The texts that `choice_format` was made of; () for any other format."""
    if shape.kind != "text" or not shape.schema:
        return ()
    return tuple(json.loads(shape.schema)["enum"])


async def label_probabilities(
    model: LanguageModel, request: Request, labels: Sequence[str], *, ways: Sequence[Way] = ("logprobs", "score")
) -> dict[str, float]:
    """Label -> probability. See `read_labels`, which also says how they were read."""
    return (await read_labels(model, request, labels, ways=ways)).probabilities


async def read_labels(
    model: LanguageModel, request: Request, labels: Sequence[str], *, ways: Sequence[Way] = ("logprobs", "score")
) -> LabelReading:
    """Ask which of `labels` comes next after the request's messages (and prefix), trying `ways` in order.

    Raises:
        UsageError: there are no labels, or two are the same, or one is empty.
        Refused: the model can do none of the ways.
        NoLabel: it was left to say a label, and said something else.
        ModelError: the model did not answer.
    """
    if not labels or len(set(labels)) != len(labels) or not all(label.strip() for label in labels):
        raise UsageError(f"Option labels must be distinct, non-empty texts, not {list(labels)!r}.")
    said = []
    for way in ways:
        found = await _WAYS[way](model, request, labels)
        if isinstance(found, LabelReading):
            return found
        said.append(f"{way}: {found}")
    why = f"{model.name} gives no probabilities for the labels {', '.join(labels)} ({'; '.join(said)})."
    if ways[-1] == "answer":
        raise NoLabel(
            f"{why} Use a model with log-probabilities (vLLM, transformers), or one that keeps to the labels."
        )
    raise Refused(
        f"{why} Use a model with log-probabilities (vLLM, transformers), or allow the way 'answer', which takes what "
        f"the model says."
    )


async def _by_logprobs(model: LanguageModel, request: Request, labels: Sequence[str]) -> LabelReading | str:
    sampling = replace(request.sampling, temperature=1.0, top_p=1.0, max_tokens=1, stop=(), seed=0, thinking_tokens=0)
    asked = replace(request, sampling=sampling, samples=(0,), format=choice_format(labels), top_logprobs=SHOWN)
    most: int = getattr(model, "most_logprobs", SHOWN)
    said = ""
    for wanted in (SHOWN, most) if most > SHOWN else (SHOWN,):
        try:
            (reply,) = await model.complete(replace(asked, top_logprobs=wanted))
        except Refused as error:
            return str(error)
        if not reply.logprobs:
            return "no log-probabilities came back"
        shown = first_token_logprobs(reply.logprobs[0], labels)
        if missing := [label for label in labels if label not in shown]:
            said = f"{', '.join(missing)} not among the {len(reply.logprobs[0].top)} likeliest tokens"
            continue
        return LabelReading(_softmax([shown[label] for label in labels], labels), "logprobs", _mass(shown.values()))
    return said


def first_token_logprobs(token: TokenLogprob, labels: Sequence[str]) -> dict[str, float]:
    """Label -> log-probability at one token, spellings with a leading space added up; labels not shown are absent.

    A label longer than one token never equals a token and so counts as not shown, which is right: its first token may
    begin something else.
    """
    shown: dict[str, float] = {}
    entries = dict(token.top)
    entries.setdefault(token.token, token.logprob)
    for text, logprob in entries.items():
        label = text.strip(" \n\t\u0120\u2581")  # byte-level and sentencepiece spellings of a space
        if label in labels and logprob > _MASKED:
            shown[label] = _log_add(shown[label], logprob) if label in shown else logprob
    return shown


async def _by_score(model: LanguageModel, request: Request, labels: Sequence[str]) -> LabelReading | str:
    if not isinstance(model, Scorer):
        return "it scores no texts"
    try:
        scores = await cast(Scorer, model).score(request, list(labels))
    except (Refused, UsageError) as error:
        return str(error)
    totals = [score.total for score in scores]
    return LabelReading(_softmax(totals, labels), "score", _mass(totals))


async def _by_answer(model: LanguageModel, request: Request, labels: Sequence[str]) -> LabelReading | str:
    asked = replace(request, samples=(0,), format=choice_format(labels), top_logprobs=0)
    text = (await model.complete(asked))[0].text.strip().strip(".:)(")
    if text not in labels:
        return f"it answered {text[:40]!r}"
    return LabelReading({label: float(label == text) for label in labels}, "answer", math.nan)


_WAYS = {"logprobs": _by_logprobs, "score": _by_score, "answer": _by_answer}


def _softmax(logits: Sequence[float], labels: Sequence[str]) -> dict[str, float]:
    top = max(logits)
    weights = [math.exp(logit - top) for logit in logits]
    total = math.fsum(weights)
    return {label: weight / total for label, weight in zip(labels, weights, strict=True)}


def _log_add(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))


def _mass(logprobs: Iterable[float]) -> float:
    return min(1.0, math.fsum(math.exp(value) for value in logprobs))
