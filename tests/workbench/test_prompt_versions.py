"""Versions of prompts: found by file, name, digest and run; compared; and what became of each."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

import prompts
from agents.agent import Agent
from graphs.run import How, run
from graphs.workflow import workflow
from whyrec.cli import build
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.built_in.flaky import Faults, Flaky
from whyrec.llm.built_in.simulated.model import Simulated
from whyrec.runs import open_run
from whyrec.settings import read_settings
from whyrec.workbench.prompt_versions import difference, find, history

DATA = "world:users=6,items=80,seed=3"
NAME = "cot_rec/summarise_batch"


def made(graph: str = "cot_rec.preference", *, broken: bool = False, new: bool = False, **options):
    settings = read_settings()
    opened = open_data(DATA, settings=settings)
    how = How(settings=settings, world=opened.world, new=new)
    model = Flaky(Simulated(opened.world, 1.0), Faults(json=0.5), seed=1) if broken else "simulated:1"
    given = workflow(graph).options(**options)
    report = asyncio.run(run(graph, corpus=opened.data, model=model, options=given, how=how))
    return open_run(settings.home, report.run)


def edited() -> prompts.Prompt:
    text = prompts.load(NAME).text
    text = text.replace("name nothing that may come next", "in one word").replace("max_tokens: 400", "max_tokens: 40")
    return prompts.parse(text)


def whyrec(*arguments: str) -> str:
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


@pytest.fixture
def other(monkeypatch):
    """A run that used another version of a prompt than the file's."""
    with monkeypatch.context() as patch:
        honest = Agent.prompt.func
        mine = edited()
        patch.setattr(Agent, "prompt", property(lambda self: mine if self.prompt_name == NAME else honest(self)))
        return made(split="valid")


def test_a_version_is_found_by_file_name_digest_and_run(other, tmp_path):
    home, file = read_settings().home, tmp_path / "mine.md"
    file.write_text(edited().text)
    now = prompts.load(NAME)
    assert find(home, NAME).prompt == now
    assert find(home, str(file)).prompt.digest == edited().digest
    assert find(home, edited().digest[:6]).where == other.id
    assert find(home, now.digest[:8]).where == f"prompts/{NAME}.md"
    assert find(home, other.id, name=NAME).prompt.digest == edited().digest
    assert find(home, "latest", name=NAME).where == other.id
    with pytest.raises(UnknownNameError, match="prompt in the run"):
        find(home, other.id, name="pulse/choose")
    with pytest.raises(UnknownNameError, match="prompt or version"):
        find(home, "cot_rec/sumarise")
    (tmp_path / "bad.md").write_text("nothing")
    with pytest.raises(UsageError, match="not a usable prompt"):
        find(home, str(tmp_path / "bad.md"))


def test_two_versions_differ_in_what_is_asked_for_and_in_their_words(other):
    home = read_settings().home
    found = difference(find(home, NAME), find(home, other.id, name=NAME))
    assert not found.same and [field for field, _, _ in found.front] == ["sampling"]
    changed = {role: [p for p in pieces if p.kind != "same"] for role, pieces in found.sections}
    assert [p.text for p in changed["system"]] == ["name nothing that may come next", "in one word"] and not changed[
        "user"
    ]
    said = whyrec("prompts", "diff", NAME, other.id)
    assert (
        "[-name nothing that may come next-]{+in one word+}" in said.replace("+} {", "+}{") and "max_tokens=40" in said
    )
    assert "same, to the byte" in whyrec("prompts", "diff", NAME, prompts.load(NAME).digest[:10])


def test_history_tells_calls_validity_repairs_and_outcome(other):
    plain, broken = made(), made(broken=True)
    uses = {use.run: use for use in history(read_settings(), NAME)}
    assert set(uses) == {other.id, plain.id, broken.id}
    assert uses[other.id].digest == edited().digest and uses[plain.id].digest == prompts.load(NAME).digest
    calls = [call for call in plain.calls() if call["prompt"] == NAME]
    assert (uses[plain.id].calls, uses[plain.id].valid, uses[plain.id].repairs) == (len(calls), 1.0, 0)
    assert uses[plain.id].outcome == "target's percentile" and uses[plain.id].scored == plain.counts().done
    repairs = [call for call in broken.calls() if call["prompt"] == NAME and call["turn"]]
    assert uses[broken.id].repairs == len(repairs) > 0 and uses[broken.id].valid < 1.0
    said = whyrec("prompts", "history", NAME)
    assert prompts.load(NAME).digest[:8] + "*" in said and edited().digest[:8] in said and "100.0%" in said
    with pytest.raises(UnknownNameError, match="prompt named"):
        whyrec("prompts", "history", "cot_rec/nothing")
    assert "No run has used it yet." in whyrec("prompts", "history", "pulse/rationale")


def test_the_outcome_is_what_the_tables_would_say():
    reader = made("pulse.choose", selector="none")
    (use,) = history(read_settings(), "pulse/choose")
    assert use.outcome == "mrr@10" and use.scored == reader.counts().done and 0.0 < use.mean <= 1.0
    (bare,) = history(read_settings(), "pulse/choose", outcomes=False)
    assert not bare.outcome
