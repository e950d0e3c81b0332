"""The parts that pages are made of: drawings, tallies, texts with fences."""

from __future__ import annotations

import re

import pytest

from graphs.engine.drawing import draw, of_workflow
from graphs.workflow import names
from whyrec.runs import open_run
from whyrec.ui.shown import chance, fences, line, money, span, spent, tokens, told, visible
from whyrec.ui.tally import Sum, Tallies


@pytest.mark.parametrize("name", names())
def test_every_workflow_is_drawn_without_boxes_over_boxes(name):
    drawing = of_workflow(name)
    boxes = drawing.boxes
    for i, one in enumerate(boxes):
        assert one.x >= 0 and one.x + one.width <= drawing.width and one.y + one.height <= drawing.height
        for other in boxes[i + 1 :]:
            apart = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y
    assert {line.source for line in drawing.lines} | {line.target for line in drawing.lines} == {b.name for b in boxes}


def test_a_line_back_is_drawn_around():
    drawing = draw(("a", "b", "c"), (("a", "b", False), ("b", "c", False), ("c", "a", True), ("b", "b", True)))
    y = {box.name: box.y for box in drawing.boxes}
    assert y["a"] < y["b"] < y["c"] and len(drawing.lines) == 4
    right = max(box.x + box.width for box in drawing.boxes)
    back = next(line for line in drawing.lines if line.source == "c")
    assert max(float(x) for x in re.findall(r"H(\d+)", back.path)) > right


def test_fences_tell_data_from_our_own_words():
    text = "Read <history> below.\n<history>\n1. Boots\n</history>\nDone </other>"
    found = [(kind, said) for kind, said in fences(text) if said]
    assert ("data", "1. Boots") in found and ("tag", "</other>") in found
    assert [said for kind, said in found if kind == "data"] == ["1. Boots"]
    assert fences("") == [("text", "")]
    assert [said for kind, said in fences("<a>\n</a>") if kind == "data"] == [""]


def test_what_cannot_be_seen_is_shown():
    assert (
        visible("a\x00b\x1b[31m\x7f") == "a␀b␛[31m␦" and visible("a\u202eb") == "a␦b" and visible("a\n\tb") == "a\n\tb"
    )
    assert line("a\n\n b" + "x" * 500, 10) == "a bxxxxxx…"
    assert told({"a": ["x", 1], "b": {"c": 1}}) == 'a: x, 1\nb: {"c": 1}'
    assert (span(0.0), span(0.9999), span(99), span(3725), span(86400)) == (
        "0 ms",
        "1.0 s",
        "99.0 s",
        "62:05 min",
        "24:00 h",
    )
    assert (money(0.0), money(None), money(0.00012), money(12.5)) == ("$0", "unknown", "$0.00012", "$12.50")
    some, none = Sum(calls=4, cached=1, tokens_in=9, unmetered=2, cost=12.5, unpriced=3), Sum(calls=4, unmetered=4)
    assert (tokens(some), spent(some)) == ("at least 9 → 0 (2 of 3 unknown)", "at least $12.50 (3 of 3 unknown)")
    assert tokens(none) == "unknown" and tokens(Sum()) == "0 → 0" and spent(Sum(calls=1, unpriced=1)) == "unknown"
    assert chance(0.0) == "100.0 %"


def test_a_tally_adds_up_to_the_runs_own_counts_and_only_what_is_new(stage):
    run = open_run(stage.settings.home, stage.evil)
    tallies = Tallies()
    first = tallies.of(run, 1.0)
    counts = run.counts()
    for _ in range(2):
        found = tallies.of(run, 1.0)
        assert found is first and found.complete
        assert (found.done, found.failed, found.all.calls) == (counts.done, counts.failed, counts.calls)
        assert (found.all.tokens_in, found.all.repairs) == (counts.tokens_in, counts.repairs)
        assert sum(found.bins.values()) == counts.calls
    partly = Tallies().of(run, 1.0, patience=-1.0)
    assert partly.upto == partly.last, "one slice is always added"
    run.close()
