"""Fitness asks what it says it asks, counts what can be used and what is right, and draws the conclusion in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prompts.lint import lint
from whyrec.cli.llm import app
from whyrec.llm.built_in.scripted import Scripted
from whyrec.llm.model import Request
from whyrec.llm.opening import wrap
from whyrec.settings import read_settings
from whyrec.workbench.fitness import asking
from whyrec.workbench.fitness.asking import FORMS, Fit, first_questions, tokens_of, try_forms
from whyrec.workbench.fitness.questions import CHOICES, LETTERS, NOTES
from whyrec.workbench.fitness.verdict import verdict

SUMMARY = "This note tells of a thing that was bought, of its colour and of its buyers."


def told_in(request: Request) -> Any:
    """The note or the choice that a request asks about."""
    text = "\n".join(message.content for message in request.messages)
    known = {told.note: told for told in NOTES} | {chosen.question: chosen for chosen in CHOICES}
    return next(one for question, one in known.items() if question in text)


def fields(request: Request) -> dict[str, Any]:
    told = told_in(request)
    return {"thing": told.thing, "colour": told.colour, "people": sorted(told.people), "summary": SUMMARY}


def said(form: str, found: dict[str, Any]) -> str:
    lists = {
        name: "\n".join(f"- {v}" for v in value) if isinstance(value, list) else value for name, value in found.items()
    }
    if form == "json":
        return json.dumps(found)
    if form == "tags":
        return "\n".join(f"<{name}>\n{value}\n</{name}>" for name, value in lists.items())
    return "\n".join(f"## {name}\n{value}" for name, value in lists.items())


def form_of(request: Request) -> str:
    return request.about.prompt.removeprefix("fitness/")


def knows(request: Request) -> str:
    form = form_of(request)
    return told_in(request).letter if form == "letters" else said(form, fields(request))


async def fits(answer: Callable[[Request], str]) -> dict[str, Fit]:
    model = wrap(Scripted(lambda request, _: answer(request)), settings=read_settings(), cache=False)
    try:
        return {fit.form: fit for fit in await try_forms(model)}
    finally:
        await model.close()


async def test_a_model_that_knows_everything_is_fit_for_everything() -> None:
    found = await fits(knows)
    assert found == {form: Fit(form, 10, 10, 0, 10) for form in FORMS}
    assert verdict(list(found.values())) == "Fit for json, tags, headers and letters."


async def test_what_is_wrong_unusable_or_repaired_is_counted_apart() -> None:
    turns: dict[str, int] = {}

    def answer(request: Request) -> str:
        form, note = form_of(request), str(told_in(request))
        key = form + note
        turns[key] = turns.get(key, 0) + 1
        if form == "json" and note not in map(str, NOTES[:3]):
            return "I would rather not."
        if form == "tags" and turns[key] == 1 and note == str(NOTES[0]):
            return "Gladly!"
        if form == "headers":
            return said(form, {**fields(request), "colour": "golden", "people": ["Nobody"]})
        return "A" if form == "letters" else said(form, fields(request))

    found = await fits(answer)
    assert (found["json"].usable, found["json"].right, len(found["json"].lost)) == (3, 3, 7)
    assert "no JSON object" in found["json"].lost[0]
    assert found["tags"] == Fit("tags", 10, 10, 1, 10)
    assert found["headers"] == Fit("headers", 10, 10, 0, 0)
    assert (found["letters"].usable, found["letters"].right) == (10, 3)
    assert verdict(list(found.values())) == (
        "Fit for tags and headers, not for json (3 of 10 usable) and letters (3 of 10 right, 2.5 are chance). It keeps "
        "the shape, but most of what it says in it is wrong: headers (0 of 10 right)."
    )


async def test_a_model_without_any_letter_is_not_fit_for_letters() -> None:
    found = await fits(lambda request: "I cannot decide." if form_of(request) == "letters" else knows(request))
    assert (found["letters"].usable, found["letters"].right) == (0, 0) and "answered" in found["letters"].lost[0]
    assert verdict(list(found.values())).endswith("not for letters (0 of 10 usable).")


def test_a_model_that_is_fit_for_nothing_is_told_so() -> None:
    assert verdict([Fit(form, 10, 1, 0, 0) for form in FORMS]) == (
        "Fit for no form of answer: not for json (1 of 10 usable), tags (1 of 10 usable), headers (1 of 10 usable) and "
        "letters (1 of 10 usable)."
    )


def test_no_letter_is_right_more_often_than_three_times_and_the_options_are_as_they_are_asked() -> None:
    counted = [sum(chosen.letter == letter for chosen in CHOICES) for letter in LETTERS]
    assert sorted(counted) == [2, 2, 3, 3]
    assert CHOICES[0].options == "A. chair\nB. apple\nC. river\nD. hammer"


def test_the_prompts_keep_the_rules_and_the_cost_counts_every_question() -> None:
    for path in sorted(Path(asking.__file__).parent.glob("*.md")):
        assert lint(path.read_text(encoding="utf-8"), where=path.name) == []
    asked = first_questions()
    assert len(asked) == 40 and len({request.messages for request in asked}) == 40
    read, written = tokens_of(asked)
    assert written == 30 * 160 + 10 * 4 and read > 40 * 100


def test_the_command_says_the_cost_before_the_table_and_ends_in_the_verdict(
    openai_thread: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    home = read_settings().home
    home.mkdir(parents=True, exist_ok=True)
    (home / "prices.toml").write_text(f'["openai:tiny@{openai_thread.url}"]\ninput = 1.0\noutput = 2.0\n')
    openai_thread.can -= {"schema"}
    done = CliRunner().invoke(app, ["check", f"openai:tiny@{openai_thread.url}", "--fitness"])
    assert done.exit_code == 0, done.output
    cost, table, last = (done.output.index(words) for words in ("40 known questions", "answer form", "not for json"))
    assert cost < table < last and "at most $0." in done.output and "0 of 10 usable" in done.output
