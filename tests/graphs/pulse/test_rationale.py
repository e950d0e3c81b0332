"""A rationale is made of training data, is drawn again when it names its target, and is masked at last."""

from __future__ import annotations

import json

import pytest

from graphs.pulse.titles import mask, names
from graphs.run import prepare, run
from graphs.workflow import workflow
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "pulse.rationale"
FLOW = workflow(NAME)


def payloads(report):
    found = open_run(read_settings().home, report.run)
    try:
        return [dict(r.payload) for r in found.results("done")]
    finally:
        found.close()


LIKES = "Likes what came before, rates it high, and looks for more of that kind now."
SOFT = "Wants something soft, since all that was rated high before is soft to the touch."


def said(text: str) -> str:
    return json.dumps({"text": text, "cues": []})


async def test_the_example_is_the_last_position_of_the_train_split(world, how, counting):
    model = counting(fails=lambda request, n: said(LIKES))
    report = await run(NAME, corpus=world.corpus, model=model, users=10, how=how(cache=False))
    assert (report.done, report.failed, len(model.seen)) == (10, 0, 10)
    view = SplitView(world.corpus, "train")
    for payload in payloads(report):
        user = world.corpus.user_index[payload["user"]]
        assert payload["index"] == view.target(user) and payload["prefix"] == view.prefix_digest(user)
        assert payload["split"] == "train" and payload["leaks"] == [] and payload["drafts"] == 1
        assert not payload["names_target"]


async def test_a_draft_that_names_the_target_is_drawn_again(world, how, counting):
    corpus, view = world.corpus, SplitView(world.corpus, "train")

    def answer(request, n):
        title = corpus.item(view.target(corpus.user_index[request.about.user])).title
        return said(f"{LIKES} Wants the {title.lower()}." if request.samples[0] < 1 else SOFT)

    model = counting(fails=answer)
    report = await run(NAME, corpus=corpus, model=model, users=5, how=how(cache=False))
    again = [p for p in payloads(report) if corpus.item(p["index"]).title]
    assert len(model.seen) == 5 + len(again) and len(again) >= 4
    assert all(p["drafts"] == 2 and not p["names_target"] for p in again)
    assert {p["text"] for p in again} == {SOFT}


async def test_after_three_drafts_the_name_is_masked(world, how, counting):
    corpus, view = world.corpus, SplitView(world.corpus, "train")

    def answer(request, n):
        return said(f"{LIKES} It is {corpus.item(view.target(corpus.user_index[request.about.user])).title} again.")

    model = counting(fails=answer)
    job = prepare(NAME, corpus=corpus, model=model, users=5, how=how())
    report = await run(NAME, corpus=corpus, model=model, users=5, how=how(cache=False))
    titled = [p for p in payloads(report) if corpus.item(p["index"]).title]
    assert len(model.seen) == 5 + 2 * len(titled) <= job.inputs.calls() == 15 and len(titled) >= 4
    assert {p["text"] for p in titled} == {f"{LIKES} It is the item again."}
    assert all(p["names_target"] and p["drafts"] == 3 for p in titled)


async def test_test_targets_are_explained_only_by_a_name_that_says_it_leaks(world, how):
    options = FLOW.options(target="test-i-know-this-leaks")
    report = await run(NAME, corpus=world.corpus, model="extractive", options=options, users=4, how=how())
    view = SplitView(world.corpus, "test")
    for payload in payloads(report):
        assert payload["index"] == view.target(world.corpus.user_index[payload["user"]])
        assert payload["leaks"] == ["rationales were made from test targets (i-know-this-leaks)"]


def test_a_history_of_no_events_is_refused(world, how):
    with pytest.raises(UsageError, match="at least 1, not 0"):
        prepare(NAME, corpus=world.corpus, model="echo", options=FLOW.options(cap=0), how=how())


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("She wants the Wool Hiking Socks, Size 9 now.", "Wool Hiking Socks, Size 9"),
        ("She wants wool hiking socks now.", "Wool Hiking Socks, Size 9 (Pack of 2)"),
        ("She wants Neutrogena Healthy Skin Face lotion.", "Neutrogena Healthy Skin Face Lotion With Sunscreen SPF 15"),
        ("It is the wool hikng socks.", "Wool Hiking Socks"),
        ("Likes Halo most.", "Halo"),
        ("Wool hiking-socks are warm", "Wool Hiking Socks"),
    ],
)
def test_names_are_found_as_people_write_them(text, title):
    assert names(text, title)
    hidden = mask(text, title)
    assert not names(hidden, title) and "the item" in hidden


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Warm socks of wool for hiking in the cold.", "Wool Hiking Socks, Size 9"),
        ("Likes lotion for healthy skin.", "Neutrogena Healthy Skin Face Lotion With Sunscreen SPF 15"),
        ("A halogen lamp.", "Halo"),
        ("Anything at all.", ""),
    ],
)
def test_kinds_and_features_are_no_names(text, title):
    assert not names(text, title) and mask(text, title) == text


def test_everything_around_a_name_is_kept():
    assert mask("Wants Soft Socks, and Soft Socks again.", "Soft Socks") == "Wants the item, and the item again."
