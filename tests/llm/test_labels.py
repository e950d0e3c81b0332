"""Label probabilities: the same softmax whichever way the model says it, and never a guess."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from whyrec.errors import UsageError
from whyrec.llm.built_in.scripted import Scripted
from whyrec.llm.labels import NoLabel, choice_format, choices_of, first_token_logprobs, label_probabilities, read_labels
from whyrec.llm.model import (
    AnswerFormat,
    Message,
    Overloaded,
    Refused,
    Reply,
    Request,
    TokenLogprob,
    TokenScores,
)
from whyrec.llm.providers.openai import OpenAICompatible
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings

ASK = Request((Message("user", "Which one? A, B or C."),))
LABELS = ("A", "B", "C")


def softmax(*logits: float) -> list[float]:
    weights = [math.exp(x) for x in logits]
    return [w / sum(weights) for w in weights]


class Says:
    """A model that shows given log-probabilities and scores given texts."""

    name, revision = "says", ""

    def __init__(self, top: dict[str, float] | None, scores: dict[str, float] | None = None, text: str = "B") -> None:
        self.top, self.text = top, text
        self.asked: list[Request] = []
        if scores is not None:
            self.score = self._score
            self.scores = scores

    async def complete(self, request: Request) -> list[Reply]:
        self.asked.append(request)
        if self.top is None:
            return [Reply(self.text)]
        token, logprob = max(self.top.items(), key=lambda pair: pair[1])
        return [Reply(token, logprobs=(TokenLogprob(token, logprob, tuple(self.top.items())),))]

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        return [TokenScores(text, (self.scores[text],)) for text in continuations]

    async def close(self) -> None: ...


async def test_log_probabilities_are_renormalised_over_the_labels_alone() -> None:
    top = {"A": math.log(0.2), "B": math.log(0.1), "C": math.log(0.1), "the": math.log(0.6)}
    reading = await read_labels(Says(top), ASK, LABELS)
    assert reading.way == "logprobs" and reading.mass == pytest.approx(0.4)
    assert list(reading.probabilities) == list(LABELS)
    assert list(reading.probabilities.values()) == pytest.approx([0.5, 0.25, 0.25])


async def test_one_token_is_asked_for_at_temperature_one_restricted_to_the_labels() -> None:
    model = Says({"A": -1.0, "B": -1.0, "C": -1.0})
    await label_probabilities(model, ASK, LABELS)
    (asked,) = model.asked
    assert choices_of(asked.format) == LABELS and asked.top_logprobs == 20
    assert (asked.sampling.temperature, asked.sampling.top_p, asked.sampling.max_tokens) == (1.0, 1.0, 1)


async def test_a_server_that_shows_more_is_asked_for_more_where_a_label_is_not_shown(openai_server: Any) -> None:
    logits = {"A": 2.0, "B": -3.0, "C": 1.0} | {f"t{i}": -1 - i / 1_000 for i in range(500)}
    openai_server.logits, openai_server.most_logprobs = logits, 1 << 20
    model = open_provider(f"llamacpp:tiny@{openai_server.url}", settings=read_settings())
    reading = await read_labels(model, ASK, LABELS)
    await model.close()
    assert [body["top_logprobs"] for body in openai_server.requests] == [20, 1_000]
    assert list(reading.probabilities.values()) == pytest.approx(softmax(2.0, -3.0, 1.0))
    openai_server.requests.clear()
    asked = open_provider(f"vllm:tiny@{openai_server.url}?score=none", settings=read_settings())
    with pytest.raises(Refused, match="B not among the 20 likeliest"):
        await read_labels(asked, ASK, LABELS)
    await asked.close()
    assert [body["top_logprobs"] for body in openai_server.requests] == [20]


def test_spellings_with_a_space_count_for_their_label_and_masked_tokens_do_not() -> None:
    token = TokenLogprob(" A", math.log(0.3), (("A", math.log(0.2)), ("\u2581B", -1.0), ("C", -9999.0), ("a", -2.0)))
    shown = first_token_logprobs(token, LABELS)
    assert shown == {"A": pytest.approx(math.log(0.5)), "B": -1.0}


async def test_a_label_that_is_not_shown_is_scored_and_not_called_impossible() -> None:
    top = {"A": -0.1, "B": -3.0}
    reading = await read_labels(Says(top, {"A": -1.0, "B": -2.0, "C": -4.0}), ASK, LABELS)
    assert reading.way == "score"
    assert list(reading.probabilities.values()) == pytest.approx(softmax(-1.0, -2.0, -4.0))


async def test_a_model_that_can_do_neither_is_an_error_unless_its_word_is_allowed() -> None:
    with pytest.raises(Refused, match="C not among the 2 likeliest tokens; score: it scores no texts"):
        await read_labels(Says({"A": -0.1, "B": -3.0}), ASK, LABELS)
    reading = await read_labels(Says(None, text=" B. "), ASK, LABELS, ways=("logprobs", "score", "answer"))
    assert reading.way == "answer" and reading.probabilities == {"A": 0.0, "B": 1.0, "C": 0.0}
    with pytest.raises(NoLabel, match="it answered 'maybe'"):
        await read_labels(Says(None, text="maybe"), ASK, LABELS, ways=("answer",))


async def test_a_passing_failure_is_passed_on_and_not_taken_for_inability() -> None:
    def overloaded(request: Request, sample: int) -> str:
        raise Overloaded("busy.")

    with pytest.raises(Overloaded):
        await label_probabilities(Scripted(overloaded), ASK, LABELS)


@pytest.mark.parametrize("labels", [(), ("A", "A"), ("A", " ")])
async def test_labels_must_be_distinct_texts(labels: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="distinct"):
        await label_probabilities(Says({}), ASK, labels)


def test_only_a_choice_is_a_choice() -> None:
    assert choices_of(choice_format(["Yes", "Nö"])) == ("Yes", "Nö")
    assert choices_of(AnswerFormat()) == choices_of(AnswerFormat("json", "X", '{"enum": ["a"]}')) == ()


@pytest.mark.parametrize("options", ["", "?choice=no", "?logprobs=0"])
async def test_over_the_wire(openai_server: Any, options: str) -> None:
    openai_server.logits = {"A": 1.0, "B": 0.5, "C": -2.0, "The": 3.0}
    model = open_provider(f"vllm:tiny@{openai_server.url}{options}", settings=read_settings())
    assert isinstance(model, OpenAICompatible)
    reading = await read_labels(model, ASK, LABELS)
    if options == "?logprobs=0":
        assert reading.way == "score"
    else:
        assert list(reading.probabilities.values()) == pytest.approx(softmax(1.0, 0.5, -2.0))
        assert ("structured_outputs" in openai_server.requests[0]) == (options == "")
    await model.close()
