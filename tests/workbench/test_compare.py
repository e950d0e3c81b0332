"""Arms over the same examples: differences that are there are found, and none is found where none is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import prompts
from agents.wording import Wording
from graphs.run import How, Models, prepare
from graphs.workflow import read_options, workflow
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import open_run
from whyrec.settings import read_settings
from whyrec.workbench.compare import Comparison, Ran, Subject, arms, as_json, held_against, run_arm
from whyrec.workbench.difference import calls_of, difference
from whyrec.workbench.path import Workplace

DATA = "world:users=40,items=60,seed=3"
STEPS = ("User profile summary", "Key feature extraction", "Item recommendation")


def subject(graph: str, users: int | None = None, data: str = DATA, **options: str) -> tuple[Subject, How]:
    settings = read_settings()
    opened = open_data(data, settings=settings)
    given = read_options(workflow(graph), options)
    return Subject(graph, given, opened.data, users), How(settings=settings, world=opened.world)


def compared(what: Subject, how: How, **given: Any) -> Comparison:
    told = {"llms": ["simulated:1"], "wordings": [], "seeds": [], **given}
    return held_against([run_arm(what, arm, how)[0] for arm in arms(**told)])


def asking(path: Path) -> str:
    """A copy of scoter/follow that asks for steps of its own."""
    text = prompts.load("scoter/follow").text
    text = text.replace("  steps: the template's steps (text), in order\n", "")
    path.write_text(text.replace("{{ steps | numbered }}", "\n".join(f"{i}. {s}" for i, s in enumerate(STEPS, 1))))
    return str(path)


def choosing(path: Path, *, shown: bool) -> str:
    """A copy of pulse/choose with a line of its own, which shows the history or hides it."""
    text = prompts.load("pulse/choose").text.replace("# system\n", "# system\nKey features first.\n", 1)
    if not shown:
        text = text.replace("  history: the user's latest events (Event), oldest first\n", "")
        text = re.sub(r"\{\{ history \|.*\}\}", "untitled", text)
    path.write_text(text)
    return str(path)


def row(found: Comparison, name: str) -> Any:
    return next(row for row in found.rows if row.name == name)


def test_a_better_model_is_found_to_be_better_and_the_same_one_is_not() -> None:
    what, how = subject("pulse.choose", data="world:users=150,items=60,seed=3", selector="none")
    found = compared(what, how, llms=["simulated:0", "simulated:1"])
    first = found.rows[0]
    assert first.name == "mrr@10" and first.outcome
    assert first.tests[1].difference > 0.1 and first.p[1] < 0.01 and first.tests[0] is None
    assert first.tests[1].n == 150 and row(found, "examples done").tests[1].difference == 0
    itself = compared(what, how, llms=["simulated:1", "simulated:1"])
    assert [one.arm.seed for one in itself.arms] == [0, 1] and len({one.run for one in itself.arms}) == 2
    assert itself.arms[1].cached == 0.0, "the second side has samples of its own"
    assert itself.rows[0].p[1] > 0.05
    changed = found.changed[0]
    sizes = [abs(one.by) for one in found.changed]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 10
    old, new = (address.split()[-1] for address in found.diff(changed).rsplit(" ", 1))
    (pair,) = difference(calls_of(how.settings.home, old), calls_of(how.settings.home, new))
    assert ("model", "simulated:0", "simulated:1") in pair.settings
    told = as_json(found, what)
    assert told["rows"][0]["tests"][1]["p"] == first.tests[1].p and told["arms"][1]["llm"] == "simulated:1"


def test_two_versions_of_a_prompt_that_show_more_and_less_differ(tmp_path: Path) -> None:
    what, how = subject("pulse.choose", data="world:users=150,items=60,seed=3", selector="none")
    files = [choosing(tmp_path / "none.md", shown=False), choosing(tmp_path / "all.md", shown=True)]
    found = compared(what, how, wordings=files)
    first = found.rows[0]
    assert first.name == "mrr@10"
    assert first.tests[1].difference > 0.1 and first.p[1] < 0.05
    # the runs know their prompts, and their states can be made again from what they recorded
    _, whole = found.arms
    assert [one.arm.name for one in found.arms] == ["prompt none", "prompt all"]
    reader = open_run(how.settings.home, whole.run)
    call = next(iter(reader.calls()))
    assert call["prompt_digest"] == whole.arm.prompts[0].digest
    assert "Key features" in reader.prompt(call["prompt_digest"])[1]
    path = Workplace(reader, how.settings).path(call["example"])
    assert not path.ended and not path.differs and path.stops[-1].calls


def test_what_runs_share_and_what_failed_is_said() -> None:
    what, how = subject("cot_rec.preference", 12)
    good, bad = (run_arm(what, arm, how)[0] for arm in arms(["extractive", "flaky:json=0.6,seed=1:extractive"], [], []))
    found = held_against([good, bad])
    done, outcome = row(found, "examples done"), found.rows[0]
    failed = round(12 * (1 - done.means[1].mean))
    assert 0 < failed < 12 and done.tests[1].difference < 0 and done.better == "higher"
    assert (outcome.means[1].n, outcome.means[1].unscored, outcome.tests[1].n) == (12 - failed, failed, 12 - failed)
    assert row(found, "answers valid at first").tests[1].difference < 0 < row(found, "repairs an example").means[1].mean
    with pytest.raises(UsageError, match="share no example"):
        held_against([good, Ran(good.arm, good.run, {}, {}, good.worth)])


def test_texts_without_a_score_say_what_their_number_is() -> None:
    what, how = subject("cot_rec.preference", 8)
    found = compared(what, how, llms=["simulated:0", "simulated:1"])
    assert [r.name for r in found.rows if r.outcome] == ["target's percentile", "words"]
    assert row(found, "words").better == "" and all(0 <= m.mean <= 1 for m in found.rows[0].means)
    with pytest.raises(UnknownNameError, match="can be compared"):
        compared(*subject("rallrec.retrieve", 4), llms=["simulated:0", "simulated:1"])


def test_which_arms_there_are(tmp_path: Path) -> None:
    file, untouched = asking(tmp_path / "deep.md"), tmp_path / "same.md"
    untouched.write_text(prompts.load("scoter/follow").text)
    found = arms(["a", "b"], ["house", file], [])
    assert [one.name for one in found] == ["a, prompt house", "a, prompt deep", "b, prompt house", "b, prompt deep"]
    assert [one.seed for one in arms(["a", "a", "a"], [], [])] == [0, 1, 2]
    assert [(one.llm, one.seed) for one in arms(["a"], [], [4, 5])] == [("a", 4), ("a", 5)]
    for given, words in (
        ((["a"], [], []), "2 to 12 arms, not 1"),
        ((["a", "b", "a"], [], []), "--llm names a twice"),
        ((["a"], ["house", "house"], []), "--prompt names house twice"),
        ((["a"], [f"{file},{file}", "house"], []), "two copies of the same prompt"),
        ((["a"], ["house", str(untouched)], []), "'prompt same' and 'prompt house' ask the same"),
    ):
        with pytest.raises(UsageError, match=words):
            arms(*given)


def test_a_copy_of_a_prompt_that_is_not_used_is_refused(tmp_path: Path) -> None:
    what, how = subject("pulse.choose", 4, selector="none")
    copy = prompts.parse(Path(asking(tmp_path / "deep.md")).read_text())
    models = Models("extractive", {}, Wording({copy.name: copy}))
    with pytest.raises(UsageError, match="does not use the prompt scoter/follow"):
        prepare(what.graph, corpus=what.data, model=models, options=what.options, how=how)
