"""`whyrec estimate`: what `whyrec run` says before it starts, and nothing is run."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import list_runs
from whyrec.settings import read_settings

WORLD = ["--data", "world:users=30,items=80"]


def whyrec(*arguments: str) -> str:
    """Output of a command that ends well; errors that the front door would print are raised."""
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_it_says_what_a_run_says_before_it_starts_and_runs_nothing() -> None:
    options = ["cot_rec.preference", *WORLD, "--llm", "extractive", "--users", "8", "-o", "batch=5"]
    said = whyrec("estimate", *options)
    assert "8 examples" in said and re.search(r"node calls tokens in tokens out summarise \d+ ", said)
    assert not list_runs(read_settings().home)
    paragraph = re.compile(r"about \d+ calls \(at most \d+\), about [\d,]+ tokens in and [\d,]+ out, free")
    assert paragraph.search(said)[0] == paragraph.search(whyrec("run", *options))[0]  # type: ignore[index]
    assert "all 8 examples are settled, nothing to ask" in (after := " ".join(whyrec("estimate", *options).split()))
    assert "tokens out" not in after
    assert paragraph.search(whyrec("estimate", *options, "--new"))


def test_programs_read_the_same_numbers() -> None:
    options = ["estimate", "cot_rec.preference", *WORLD, "--llm", "extractive", "--users", "8"]
    said, told = whyrec(*options), json.loads(whyrec(*options, "--json"))
    assert f"about {told['calls']:,} calls (at most {told['most']:,})" in said
    assert f"{told['tokens_in']:,} tokens in and {told['tokens_out']:,} out" in said and told["dollars"] == 0.0
    assert sum(node["calls"] for node in told["nodes"]) == told["calls"] and told["examples"] == 8


def test_a_server_is_not_needed_to_know_what_it_would_cost() -> None:
    said = whyrec("estimate", "cot_rec.preference", *WORLD, "--llm", "vllm:none@http://127.0.0.1:9/v1", "--rpm", "60")
    assert "assumed" in said
    paid = whyrec("estimate", "cot_rec.preference", *WORLD, "--llm", "openai:gpt-4o-mini", "--users", "5")
    assert re.search(r"about \$0\.0\d", paid), "nor a key"


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["cot_rec.preference"], UsageError, "--data"),
        ([], UsageError, "a graph"),
        (["cot_rec.preferense", *WORLD], UnknownNameError, "cot_rec.preference"),
        (["cot_rec.preference", *WORLD, "-o", "bach=3"], UnknownNameError, "batch"),
    ],
)
def test_a_wrong_name_is_one_sentence(arguments: list[str], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        whyrec("estimate", *arguments)
