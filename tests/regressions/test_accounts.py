"""What a run says it took is what it took: budgets bind, unknown is not zero, the cache is no effect."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whyrec import llm
from whyrec.errors import UsageError
from whyrec.llm.model import Message, ModelError, Request, Sampling
from whyrec.settings import Settings

ASK = Request((Message("user", "What now?"),), Sampling(max_tokens=2_000))


def spend(name: str, home: Path, budget: llm.Budget) -> list[str]:
    """Ask until somebody refuses, ten times at most; what was said then."""

    async def ask() -> list[str]:
        said = []
        model = llm.open(name, settings=Settings(home=home), budget=budget, cache=False)
        try:
            for _ in range(10):
                try:
                    await model.complete(ASK)
                except ModelError as error:
                    said.append(f"{type(error).__name__}: {error}")
                    if "budget" in str(error):
                        break
        finally:
            await model.close()
        return said

    try:
        return asyncio.run(ask())
    except UsageError as error:
        return [f"UsageError: {error}"]


@pytest.mark.parametrize(
    "options", ['?extra={"max_tokens":50000}', "?drop=max_tokens", '?extra={"n":8}', '?extra={"max_tokens":null}']
)
@pytest.mark.parametrize("unit", ["tokens", "dollars"])
def test_03_a_budget_binds_what_is_sent(tmp_path: Path, spending: Any, options: str, unit: str) -> None:
    name = f"openai:m@{spending.url}{options}"
    (tmp_path / "prices.toml").write_text(f"[{json.dumps(name)}]\ninput = 1e6\noutput = 1e6\n")  # a token is a dollar
    said = spend(name, tmp_path, llm.Budget(**{unit: 20_000}))
    assert spending.billed <= 20_000, f"{spending.billed:,} of 20,000 were spent"
    assert said and ("budget" in said[-1].lower()), said


def test_03_an_answer_that_cannot_be_read_is_charged_at_its_worst(tmp_path: Path, spending: Any) -> None:
    spending.counts = "lost"
    spend(f"openai:m@{spending.url}", tmp_path, llm.Budget(tokens=3_000))
    assert spending.billed <= 3_000


def test_03_a_budget_is_refused_where_nothing_caps_an_answer(whyrec: Callable[..., Any], spending: Any) -> None:
    model = f"openai:m@{spending.url}?drop=max_tokens"
    arguments = ("--data", "world", "--users", "2", "--llm", model, "--budget-tokens", "20000")
    done = whyrec("run", "cot_rec.preference", *arguments)
    assert done.sentence and not spending.asked, done.said
    assert "?max_tokens=max_completion_tokens" in done.said and "--budget-calls" in done.said


@pytest.mark.parametrize("counts", ["none", "absurd"])
def test_04_unknown_usage_is_shown_as_unknown(
    whyrec: Callable[..., Any], spending: Any, tmp_path: Path, counts: str
) -> None:
    spending.counts = counts
    spending.text = '{"summary": "calm tea", "long_term_interests": ["tea"], "recent_interests": ["tea"]}'
    done = whyrec("run", "cot_rec.preference", "--data", "world", "--users", "2", "--llm", f"openai:m@{spending.url}")
    outcome = done.out.partition("\nrun ")[2]
    assert outcome and "$0" not in outcome and not re.search(r"\b0 tokens|\b0 in\b|-\d+ tokens", outcome), outcome
    (file,) = Path(os.environ["WHYREC_HOME"]).glob("runs/*/run.sqlite")
    connection = sqlite3.connect(file)
    found = set(connection.execute("SELECT tokens_in, tokens_out, cost FROM call").fetchall())
    connection.close()
    assert found == {(None, None, None)}, found
    listed = whyrec("trace", "ls", "latest").out
    assert "unknown" in listed and "0→0" not in listed, listed
    shown = whyrec("runs", "show", "latest").said
    assert "tokens unknown" in shown and "cost unknown" in shown, shown
    assert whyrec("export", "latest", "--jsonl", "spans").code == 0
    spans = (tmp_path / "spans").read_text()
    assert "LLM" in spans and "llm.token_count" not in spans and "llm.cost" not in spans, "left out is OTLP's unknown"


def test_06_an_answer_from_the_cache_is_not_cheaper(whyrec: Callable[..., Any]) -> None:
    what = ("cot_rec.preference", "--data", "world:users=12,items=60,seed=3")
    run = re.search(r"run (\S+)", whyrec("run", *what, "--llm", "simulated:1").out)
    assert run is not None
    assert whyrec("runs", "rm", run[1], "--yes").code == 0  # its answers stay in the cache
    compared = json.loads(whyrec("compare", *what, "--llm", "simulated:0", "--llm", "simulated:1", "--json").out)
    assert [arm["from the cache"] for arm in compared["arms"]] == [0.0, 1.0]
    row = next(row for row in compared["rows"] if row["name"] == "tokens in, an example")
    assert row["tests"][1] is None or abs(row["tests"][1]["difference"]) < row["means"][0]["mean"] / 10, row


def test_07_unreadable_answers_are_counted_and_found(whyrec: Callable[..., Any], spending: Any) -> None:
    done = whyrec("run", "cot_rec.preference", "--data", "world", "--users", "2", "--llm", f"openai:m@{spending.url}")
    assert re.search(r"\b4 unreadable", done.said), done.said
    found = whyrec("trace", "ls", "latest", "--status", "unreadable", "--format", "json")
    assert found.code == 0 and len(found.out.splitlines()) == 4, found.said
    assert whyrec("trace", "ls", "latest", "--status", "ok").code == 1, "an answer of no use is not ok"


def test_07_a_runs_head_is_for_people(whyrec: Callable[..., Any]) -> None:
    whyrec("run", "cot_rec.preference", "--data", "world", "--users", "2", "--llm", "extractive")
    shown = whyrec("runs", "show", "latest").out
    assert re.search(r"started_at\s+20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", shown), shown
    assert re.search(r"took\s+\d", shown) and re.search(r"unreadable\s+0", shown)
