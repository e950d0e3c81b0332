"""The trace: every call with all that is known of it, small, and without secrets."""

import itertools
import json
import random
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from whyrec.llm.model import (
    UNKNOWN,
    About,
    AnswerFormat,
    BudgetSpent,
    Message,
    ModelError,
    Refused,
    Reply,
    Request,
    Sampling,
    Scorer,
    TimedOut,
    TokenLogprob,
    TokenScores,
    Unusable,
    Usage,
)
from whyrec.llm.wrappers.cache_file import CacheFile
from whyrec.llm.wrappers.cached import Cached, request_digest, score_digest
from whyrec.llm.wrappers.stamped import Stamped
from whyrec.llm.wrappers.traced import Traced
from whyrec.runs import Identity, Run
from whyrec.trace import Calls, Wanted
from whyrec.workbench.compare_costs import took

ABOUT = About(
    graph="cot_rec.preference", node="summarise", agent="summarise", example="valid:u1", user="u1", item="i1",
    split="valid", prompt="cot_rec/summarise", prompt_digest="0123456789abcdef",
    prompt_text="What does {{ user }} like?", blanks={"user": "Zoë"}, rendered=1,
)  # fmt: skip
ASK = Request((Message("user", "What does Zoë like?"),), Sampling(0.7, seed=4), about=ABOUT, retry=2)


class Model:
    name, revision = "vllm:x@http://me:hunter22@host/v1", "r"

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.asked = error, []

    async def complete(self, request):
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return [
            Reply(
                f"tea {s}", "because", s, Usage(100, 20, 60), "stop", (TokenLogprob("t", -1.0, (("u", -2.0),)),),
                "x-0613", attempts=2, queue_s=0.25, service_s=1.5, cost=0.125,
            )
            for s in request.samples
        ]  # fmt: skip

    async def close(self): ...


class ScoringModel(Model):
    async def score(self, request, continuations):
        if self.error is not None:
            raise self.error
        return [TokenScores(text, (-0.5, -1.0)) for text in continuations]


@pytest.fixture
def run(tmp_path: Path):
    run = Run.open(tmp_path, Identity("g", "d", "x", "m"))
    yield run
    run.close()


async def test_everything_about_a_call_is_kept(run: Run) -> None:
    (given,) = await Traced(Model(), run).complete(ASK)
    (row,) = run.calls(user="u1", node="summarise")
    for name in ("graph", "node", "agent", "example", "user", "item", "split", "prompt", "prompt_digest", "turn"):
        assert row[name] == getattr(ABOUT, name), name
    assert row["request"] == request_digest(ASK, 0) and row["retry"] == 2 and row["sample"] == 0
    assert json.loads(row["settings"])["temperature"] == 0.7 and json.loads(row["settings"])["seed"] == 4
    assert json.loads(row["blanks"]) == {"user": "Zoë"} and row["messages"] == ""
    assert (row["answer"], row["reasoning"], row["answered_by"], row["finish"]) == (
        "tea 0",
        "because",
        "x-0613",
        "stop",
    )
    assert (row["tokens_in"], row["tokens_out"], row["tokens_cached"], row["cost"]) == (100, 20, 60, 0.125)
    assert (row["queue_s"], row["service_s"], row["attempts"], row["cache"]) == (0.25, 1.5, 2, "miss")
    assert run.reply_for(request_digest(ASK, 0)) == replace(given, attempts=1, queue_s=0.0, service_s=0.0, cost=0.0)


async def test_samples_are_calls_of_their_own(run: Run) -> None:
    request = replace(ASK, samples=(0, 2))
    await Traced(Model(), run).complete(request)
    rows = list(run.calls())
    assert [r["sample"] for r in rows] == [0, 2] and [r["answer"] for r in rows] == ["tea 0", "tea 2"]
    assert [r["request"] for r in rows] == [request_digest(request, 0), request_digest(request, 2)]


async def test_without_blanks_the_messages_are_kept_and_with_them_only_a_repair(run: Run) -> None:
    traced = Traced(Model(), run)
    repair = (*ASK.messages, Message("assistant", "tee"), Message("user", "That is no JSON."))
    await traced.complete(replace(ASK, about=About()))
    await traced.complete(replace(ASK, messages=repair, about=replace(ABOUT, turn=1)))
    plain, repaired = run.calls()
    assert json.loads(plain["messages"]) == [["user", "What does Zoë like?"]] and plain["blanks"] == ""
    assert json.loads(repaired["messages"]) == [["assistant", "tee"], ["user", "That is no JSON."]]
    assert json.loads(repaired["blanks"]) == {"user": "Zoë"} and run.counts().repairs == 1


async def test_errors_are_kept_without_secrets_and_handed_on(run: Run) -> None:
    error = Refused("401 from http://me:hunter22@host/v1: bad key sk-abcdefghijklmnop " + "x" * 9000)
    error.attempts = 3
    with pytest.raises(Refused) as raised:
        await Traced(Model(error), run).complete(ASK)
    assert raised.value is error
    (row,) = run.calls()
    assert (row["error_kind"], row["finish"], row["answer"], row["attempts"]) == ("Refused", "error", "", 3)
    assert row["error"].startswith("401 from http://[secret]@host/v1: bad key [secret]") and len(row["error"]) <= 2000
    assert row["user"] == "u1" and row["request"] == request_digest(ASK, 0)
    assert (run.counts().errors, run.counts().retries, run.counts().calls) == (1, 2, 1)


async def test_no_secret_reaches_the_file(run: Run) -> None:
    await Traced(Model(), run).complete(ASK)
    with pytest.raises(TimedOut):
        await Traced(Model(TimedOut("http://me:hunter22@host/v1 took too long")), run).complete(ASK)
    run.flush()
    assert not any(b"hunter22" in path.read_bytes() for path in run.folder.iterdir())


async def test_a_request_that_a_budget_refused_is_no_call(run: Run) -> None:
    with pytest.raises(BudgetSpent):
        await Traced(Model(BudgetSpent("spent")), run).complete(ASK)
    assert run.counts().calls == 0 and list(run.calls()) == []


async def test_a_bug_is_no_call_and_stays_a_bug(run: Run) -> None:
    with pytest.raises(ZeroDivisionError):
        await Traced(Model(ZeroDivisionError()), run).complete(ASK)
    assert run.counts().calls == 0


async def test_scores_are_calls(run: Run) -> None:
    traced = Traced(ScoringModel(), run)
    assert isinstance(traced, Scorer) and not isinstance(Traced(Model(), run), Scorer)
    scores = await traced.score(ASK, ["yes", "nö"])
    with pytest.raises(TimedOut):
        await Traced(ScoringModel(TimedOut("late")), run).score(ASK, ["yes"])
    answered, failed = run.calls()
    assert answered["kind"] == failed["kind"] == "score" and failed["error_kind"] == "TimedOut"
    assert json.loads(answered["answer"]) == [["yes", [-0.5, -1.0]], ["nö", [-0.5, -1.0]]]
    assert run.scores_for(score_digest(ASK, ["yes", "nö"])) == scores
    assert run.scores_for(score_digest(ASK, ["yes"])) is None


async def test_stamped_fills_run_and_retry(run: Run) -> None:
    model = Model()
    await Stamped(model, run="run-7", retry=3).complete(replace(ASK, retry=0))
    await Stamped(model).complete(replace(ASK, retry=0))
    assert [(r.about.run, r.retry) for r in model.asked] == [("run-7", 3), ("", 0)]
    assert model.asked[0].about.user == "u1" and model.asked[0].messages == ASK.messages
    assert isinstance(Stamped(ScoringModel()), Scorer) and not isinstance(Stamped(model), Scorer)
    assert len(await Stamped(ScoringModel(), run="r").score(ASK, ["a"])) == 1


def realistic(draw: random.Random, number: int) -> tuple[Request, str]:
    """A batch of ten items of some 170 bytes each (as Amazon's titles, brands and categories are), and an answer."""
    syllables = ["".join(pair) for pair in itertools.product("klmnprstv", "aeiou")]

    def words(n: int) -> str:
        return " ".join("".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(n))

    history = [{"title": words(11), "brand": words(2), "categories": words(5)} for _ in range(10)]
    blanks = {"history": history, "number": number}
    about = replace(ABOUT, example=f"valid:A{number:013d}", user=f"A{number:013d}", item="", blanks=blanks, rendered=2)
    messages = (Message("system", "You read histories. " * 60), Message("user", json.dumps(blanks)))
    schema = json.dumps({"properties": {f"field{i}": {"type": "string", "maxLength": 200} for i in range(10)}})
    request = Request(messages, format=AnswerFormat("json", "Interest", schema), about=about)
    return request, json.dumps({"summary": words(50), "keywords": [words(1) for _ in range(8)]})


async def test_a_call_takes_at_most_2_kb_on_disk(tmp_path: Path) -> None:
    class Answering(Model):
        async def complete(self, request):
            return [Reply(answers[request.about.blanks["number"]], usage=Usage(900, 150), service_s=1.0, model="x")]

    draw = random.Random(1)
    asked = [realistic(draw, number) for number in range(1000)]
    answers = [answer for _, answer in asked]
    run = Run.open(tmp_path, Identity("g", "d", "x", "m"))
    before = sum(path.stat().st_size for path in run.folder.iterdir())
    traced = Traced(Answering(), run)
    for request, _ in asked:
        await traced.complete(request)
    run.close()
    after = sum(path.stat().st_size for path in run.folder.iterdir())
    assert 500 < (after - before) / 1000 <= 2000


async def test_unknown_tokens_and_what_may_have_been_charged_are_null(run: Run) -> None:
    class Silent(Model):
        async def complete(self, request):
            await super().complete(request)
            return [Reply("x", usage=UNKNOWN, cost=None)]

    await Traced(Silent(), run).complete(ASK)
    for error in (TimedOut("late"), Refused("no")):
        with pytest.raises(ModelError):
            await Traced(Model(error), run).complete(ASK)
    free = Model(TimedOut("late"))
    free.free = True
    with pytest.raises(TimedOut):
        await Traced(free, run).complete(ASK)
    rows = [(row["tokens_in"], row["tokens_out"], row["cost"]) for row in run.calls()]
    assert rows == [(None, None, None), (None, None, None), (0, 0, 0.0), (0, 0, 0.0)]
    counts = run.counts()
    assert (counts.unmetered, counts.unpriced, counts.sent, counts.tokens_in) == (2, 2, 4, 0)


async def test_what_whoever_asks_cannot_use_is_told(run: Run) -> None:
    about = replace(ABOUT, wrong=lambda reply: None if reply.sample else Unusable("unreadable", "it is no JSON"))
    asked = replace(ASK, about=about, samples=(0, 1))
    await Traced(Model(), run).complete(asked)
    assert [row["unreadable"] for row in run.calls()] == ["it is no JSON", ""] and run.counts().unreadable == 1
    with closing(Calls(run)) as calls:
        found = calls.find(Wanted(status="unreadable"))
        assert [line.status for line in found] == ["unreadable"] and found[0].sample == 0
        assert [line.sample for line in calls.find(Wanted(status="ok"))] == [1]


async def test_a_cached_answer_keeps_what_it_took_at_first(run: Run, tmp_path: Path) -> None:
    model = Traced(Cached(Model(), CacheFile(tmp_path / "cache.sqlite")), run)
    for _ in range(2):
        await model.complete(ASK)
    await model.close()
    first, again = run.calls()
    assert (first["tokens_in"], first["made_in"], first["cost"]) == (100, None, 0.125)
    assert (again["cache"], again["tokens_in"], again["cost"], again["service_s"]) == ("hit", 0, 0.0, 0.0)
    assert (again["made_in"], again["made_out"], again["made_cost"], again["made_s"]) == (100, 20, 0.125, 1.5)
    run.flush()
    (spent,) = took(run, [ABOUT.example]).values()
    assert (spent.tokens_in, spent.tokens_out, spent.cost, spent.seconds, spent.asked) == (200, 40, 0.25, 3.0, 1)
    assert run.tokens([ABOUT.example]) == {"summarise": (2, 200, 40)}


async def test_a_sum_over_something_unknown_is_unknown(run: Run) -> None:
    class Silent(Model):
        async def complete(self, request):
            return [Reply("x", usage=UNKNOWN, cost=None, service_s=1.0)]

    await Traced(Model(), run).complete(ASK)
    await Traced(Silent(), run).complete(ASK)
    run.flush()
    (spent,) = took(run, [ABOUT.example]).values()
    assert (spent.tokens_in, spent.tokens_out, spent.cost, spent.seconds) == (None, None, None, 2.5)
    assert run.tokens([ABOUT.example]) == {"summarise": (2, None, None)}
