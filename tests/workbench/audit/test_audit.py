"""Leaks put in on purpose, each by a way of its own, are found where they are; in clean runs there is nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import typing
from dataclasses import replace
from typing import Literal

import pytest

import prompts
from agents.agent import Agent
from graphs.run import How, run
from graphs.workflow import names, ours, workflow
from whyrec.data import open_data
from whyrec.data.split import SplitView
from whyrec.plugins.rules import Rule
from whyrec.records import Event
from whyrec.runs import open_run
from whyrec.runs.rows import pack
from whyrec.settings import read_settings
from whyrec.sqlite import connect
from whyrec.workbench.audit.rules import results_of
from whyrec.workbench.audit.run import audit

DATA = "world:users=16,items=80,seed=3"
VICTIM = "u4"


def opened():
    return open_data(DATA, settings=read_settings())


def made(graph: str, *, model: object = "simulated:1", users: int | None = 8, **options):
    settings, data = read_settings(), opened()
    how = How(settings=settings, world=data.world)
    given = workflow(graph).options(**options)
    report = asyncio.run(run(graph, corpus=data.data, model=model, options=given, users=users, how=how))
    assert report.done
    return open_run(settings.home, report.run)


def target(split: str = "test"):
    corpus = opened().data
    return corpus.item(SplitView(corpus, split).target(corpus.user_index[VICTIM]))


def plant(monkeypatch, prompt: str, change) -> None:
    """Whenever this prompt is about to be said of the victim, its blanks are changed first."""
    honest = Agent.request

    def request(self, n, about, blanks, domain=None, **told):
        if self.prompt_name == prompt and about.user == VICTIM:
            blanks = {**blanks, **change(blanks)}
        return honest(self, n, about, blanks, domain, **told)

    monkeypatch.setattr(Agent, "request", request)


def found(reader, kind: str):
    """The findings; all of this kind, and each with a place that exists."""
    report = audit(reader, read_settings())
    assert report.findings and {one.kind for one in report.findings} == {kind}, report.findings
    for one in report.findings:
        if one.where.startswith("call "):
            assert reader.call(int(one.where.split()[1])) is not None
    return report.findings


def edit(path, sql: str, *values) -> None:
    writing = connect(path)
    writing.execute(sql, values)
    writing.close()


# --- clean: the tables know everything there is, and nothing is found where nothing is


def test_every_prompt_and_result_of_the_house_is_declared():
    declared: dict[str, list[tuple[dict[str, Rule], bool]]] = {}
    for rules in (workflow(name).audit for name in ours()):
        for prompt, blanks in rules.blanks.items():
            declared.setdefault(prompt, []).append((dict(blanks), prompt in rules.numbered))
    assert set(declared) == set(prompts.names())
    for name, said in declared.items():
        assert set(said[0][0]) == set(prompts.load(name).variables), name
        assert all(one == said[0] for one in said), f"graphs differ in what {name} may show"
    assert {name for name in names() if results_of(name)} | {"scoter.mine"} == set(names())


@pytest.mark.parametrize("name", ours())
def test_a_graph_declares_every_prompt_that_it_may_ask_with(name):
    """So that an audit of its runs asks no other graph."""
    flow = workflow(name)
    kinds = typing.get_type_hints(flow.options)
    several = {option: typing.get_args(kind) for option, kind in kinds.items() if typing.get_origin(kind) is Literal}
    asked = set(flow.prompts(flow.options()))
    for option, values in several.items():
        for value in values:
            asked |= set(flow.prompts(dataclasses.replace(flow.options(), **{option: value})))
    assert asked <= set(flow.audit.blanks)


@pytest.mark.parametrize("model", ["simulated:1", "extractive"])
def test_clean_runs_have_nothing_and_say_how_much_was_looked_at(model):
    rationales = made("pulse.rationale", model=model, users=None).id
    runs = [
        made("cot_rec.recommend", model=model),
        made("cot_rec.perception", model=model, mode="three_step"),
        made("cot_rec.preference", model=model, mode="official_json"),
        made("pulse.choose", model=model, rationales=rationales, users=4),
        made("scoter.distil", model=model, mode="per_prefix", users=4),
        made("scoter.validate", model=model),
        made("rallrec.predict", model=model, mode="direct"),
    ]
    for reader in (open_run(read_settings().home, rationales), *runs):
        report = audit(reader, read_settings())
        assert report.clean and not report.more, (reader.id, report.findings[:3])
        counts = reader.counts()
        assert report.counts["calls"] == counts.calls and report.counts["results"] == counts.done + counts.failed
        assert report.counts["prefix digests"] == reader.counts().done and report.counts["stored texts"]
        assert not [note for note in report.notes if note.kind != "guess"]


@pytest.mark.parametrize("mode", ["standard", "react_best"])
def test_clean_questions(mode):
    settings = read_settings()
    data = open_data("facts:questions=8", settings=settings)
    how = How(settings=settings, world=data.world)
    options = workflow("hotpotqa.react").options(mode=mode)
    report = asyncio.run(run("hotpotqa.react", corpus=data.data, model="simulated:1", options=options, how=how))
    assert audit(open_run(settings.home, report.run), settings).clean


# --- leaks in prompts


def test_a_later_event_in_the_history(monkeypatch):
    plant(
        monkeypatch, "cot_rec/summarise_batch", lambda blanks: {"history": (*blanks["history"], Event(target(), 5.0))}
    )
    first, *_ = found(made("cot_rec.preference"), "later")
    assert target().title in first.what and "later event" in first.what
    assert call_of_user(first.where) == VICTIM


def call_of_user(where: str) -> str:
    """Whose call it is, in the latest run."""
    from whyrec.trace.address import find_run

    return find_run(read_settings().home).call(int(where.split()[1]))["user"]


def test_every_view_shows_one_event_too_many(monkeypatch, leak_checks):
    with monkeypatch.context() as leaky:
        leak_checks.show_one_more(leaky)
        reader = made("cot_rec.preference")
    kinds = {one.kind for one in audit(reader, read_settings()).findings}
    assert {"later", "prefix"} <= kinds


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ("Will take {title} next.", ""),
        ("Will take {misspelt}, surely.", "spelling"),
        ("Loves what begins with {first} above all.", "beginning"),
        ("Will take {id}.", "id"),
    ],
)
def test_the_target_named_in_a_preference_that_no_model_wrote(monkeypatch, said, how):
    item = target()
    title = item.title.split()
    assert len(title) >= 3
    text = said.format(title=item.title.upper(), misspelt=misspelt(item.title), first=" ".join(title[:4]), id=item.id)
    if how == "beginning" and len(title) < 5:
        pytest.skip("the title is short")
    plant(
        monkeypatch,
        "cot_rec/write_reviews",
        lambda blanks: {"preference": {**blanks["preference"], "summary": text}},
    )
    (first,) = found(made("cot_rec.perception"), "named")
    assert "preference names" in first.what and (not how or f"by its {how}" in first.what)


def misspelt(title: str) -> str:
    """A letter of the longest word is missing."""
    longest = max(title.split(), key=len)
    return title.replace(longest, longest[:2] + longest[3:])


def test_the_target_by_its_number_where_numbers_are_shown(monkeypatch):
    text = f"Will take the one marked [{target().index}]."
    plant(
        monkeypatch, "cot_rec/write_reviews", lambda blanks: {"preference": {**blanks["preference"], "summary": text}}
    )
    (first,) = found(made("cot_rec.perception"), "named")
    assert "by its number" in first.what


def test_a_candidate_that_is_marked(monkeypatch):
    def mark(blanks):
        items = blanks["candidates"]
        return {"candidates": [replace(i, title=f"{i.title} *") if i.id == target().id else i for i in items]}

    plant(monkeypatch, "cot_rec/write_reviews", mark)
    first, *_ = found(made("cot_rec.perception"), "marked")
    assert target().id in first.what


def test_a_neighbours_event_that_nobody_met_in_training(monkeypatch):
    from graphs.workflow import Source
    from whyrec.workbench.audit.scopes import Scopes

    settings, corpus = read_settings(), opened().data
    scopes = Scopes("pulse.refine", {}, Source(corpus, settings.home))
    user = corpus.user_index[VICTIM]
    known = {int(i) for i in corpus.items[corpus.offsets[user] : corpus.offsets[user + 1]]}
    never = next(i for i in range(1, 81) if i not in known and not scopes.met_in_training(i, but=user, until=None))
    plant(monkeypatch, "pulse/base_reason", lambda blanks: {"similar": (*blanks["similar"], Event(corpus.item(never)))})
    first, *_ = found(made("pulse.refine", rationales="none", widths="", selectors="base"), "neighbours")
    assert "nobody else had met" in first.what and call_of_user(first.where) == VICTIM


def test_a_rationale_of_the_wrong_target(monkeypatch):
    plant(monkeypatch, "pulse/rationale", lambda blanks: {"item": target("test")})
    findings = [one for one in audit(made("pulse.rationale"), read_settings()).findings if one.where.startswith("call")]
    assert findings and "in its place" in findings[0].what and findings[0].kind == "later"


def test_a_repair_that_tells(monkeypatch):
    from whyrec.llm.built_in.flaky import Faults, Flaky
    from whyrec.llm.built_in.simulated.model import Simulated

    honest = Agent._read

    def read(self, reply, request, blanks, known):
        from agents.answers import Misread

        if request.about.user == VICTIM and not request.about.turn:
            raise Misread(f"it should name {target().title}")
        return honest(self, reply, request, blanks, known)

    monkeypatch.setattr(Agent, "_read", read)
    first, *_ = found(made("cot_rec.preference", model=Flaky(Simulated(opened().world, 1.0), Faults())), "named")
    assert "user message" in first.what


def test_the_users_own_review_of_the_target(monkeypatch):
    corpus = opened().data
    review = corpus.reviews[int(corpus.offsets[corpus.user_index[VICTIM] + 1]) - 1]
    plant(
        monkeypatch,
        "cot_rec/summarise_batch",
        lambda blanks: {"history": (replace(blanks["history"][0], review=review), *blanks["history"][1:])},
    )
    first, *_ = found(made("cot_rec.preference"), "review")
    assert "review of a later event" in first.what


def test_static_text_of_a_prompt(monkeypatch):
    text = prompts.load("cot_rec/summarise_batch").text.replace("# user\n", f"Such as {target().title}.\n\n# user\n")
    monkeypatch.setattr(Agent, "prompt", property(lambda self: prompts.parse(text)))
    reader = made("cot_rec.preference", mode="loop", batch=50, users=8)
    assert "itself names" in found(reader, "named")[0].what


def test_a_log_that_does_not_hold_what_was_sent():
    reader = made("cot_rec.preference")
    (digest,) = reader._read.execute("SELECT blanks FROM call WHERE id=1").fetchone()
    blanks = json.loads(reader.text(digest))
    blanks["history"] = blanks["history"][:1]
    other = pack(json.dumps(blanks))  # a whole text, so nothing but what was sent speaks against it
    edit(reader.path, "INSERT INTO text(digest,size,body) VALUES (?,?,?)", *other)
    edit(reader.path, "UPDATE call SET blanks=? WHERE id=1", other.digest)
    assert found(reader, "altered")[0].where == "call 1"


def test_what_a_model_guesses_is_a_note():
    from whyrec.llm.built_in.scripted import Scripted

    said = {"summary": f"Wants {target().title} next.", "keywords": ["a", "b", "c"]}
    merged = {**said, "kept": [], "dropped": [], "added": []}
    model = Scripted([json.dumps(merged)] * 200)
    report = audit(made("cot_rec.preference", model=model), read_settings())
    assert report.clean
    (note,) = [one for one in report.notes if target().title in one.what]
    assert note.kind == "guess" and note.where.startswith("call ")
