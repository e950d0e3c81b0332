"""SCoTER's answers: paths and descriptions however they are written, templates and chains that hold together."""

from __future__ import annotations

import pytest

from agents import scoter
from agents.answers import Misread, read

TWENTY = [f"thing {i}, red, by maker {i}" for i in range(20)]


def sample(path, recommendations="\n".join(TWENTY)):
    return (
        f"<cot_path>{path}</cot_path>\n<reason>one\ntwo</reason>\n<recommendations>{recommendations}</recommendations>"
    )


@pytest.mark.parametrize(
    "path",
    [
        "Look at habits -> Weigh them -> Item recommendation",
        "[Look at habits → Weigh them → Item recommendation]",
        "Look at habits ->\nWeigh them ->\nItem recommendation",
        "1. Look at habits\n2. Weigh them\n3. Item recommendation",
        "Step 1: Look at habits -> Step 2: Weigh them -> Step 3: Item recommendation.",
    ],
)
def test_a_path_is_read_however_it_is_written(path):
    found = read(scoter.ChainSample, "tags", sample(path))
    assert found.cot_path == ("Look at habits", "Weigh them", "Item recommendation")
    assert found.recommendations == tuple(TWENTY) and found.reason == ("one", "two")


def test_descriptions_may_stand_in_item_tags_as_in_the_paper():
    items = "\n".join(f"<item>\n{text}\n</item>" for text in TWENTY)
    assert read(scoter.ChainSample, "tags", sample("a -> b", items)).recommendations == tuple(TWENTY)


def test_nineteen_descriptions_are_too_few_and_more_than_twenty_are_cut():
    with pytest.raises(Misread, match="recommendations"):
        read(scoter.ChainSample, "tags", sample("a -> b", "\n".join(TWENTY[:19])))
    long = read(scoter.ChainSample, "tags", sample(" -> ".join("abcdefghijkl"), "\n".join([*TWENTY, "more", "still"])))
    assert long.recommendations == tuple(TWENTY) and long.cot_path == tuple("abcdefgh")
    assert set(long.cut) == {"cot_path", "recommendations"}


def test_a_step_of_more_than_eight_words_is_cut():
    found = read(scoter.ChainSample, "tags", sample("one two three four five six seven eight nine -> b"))
    assert found.cot_path[0] == "one two three four five six seven eight" and found.cut == ("cot_path.0",)


def template(*steps):
    told = ", ".join(f'"{n}": "because"' for n in ("core_logic", "strengths", "limits", "rationale"))
    return read(
        scoter.MinedTemplate, "json", f'{{{told}, "steps": [{", ".join(f"{s!r}" for s in steps)}]}}'.replace("'", '"')
    )


def test_a_template_needs_two_to_six_different_steps():
    check = scoter.abstract.check
    assert check(template("Look", "Recommend"), {}) is None
    assert template("Look -> Weigh -> Recommend").steps == ("Look", "Weigh", "Recommend")
    assert "repeats one step" in check(template("Look", "look"), {}).said
    assert "more than 6" in check(template(*"abcdefg"), {}).said


def test_steps_are_made_usable_as_headers():
    steps = ["1. Look <at> it", "Summary", "look ‹at› it.", "Copy", "Overall Analysis"]
    assert scoter.usable_steps(steps) == ("Look ‹at› it", "Summary step", "Copy step", "Overall Analysis step")


def test_a_chain_has_a_section_per_step_and_names_what_is_missing():
    steps = ("Distinguish stable vs. recent interests", "Outdoor/Athletic interest mapping", "Item Recommendation")
    kind = scoter.chain_type(steps)
    text = (
        "**Overall Analysis:** all\n\n## Distinguish stable vs. recent interests\nstable: tea\n"
        "### outdoor/athletic interest mapping\nnone\n\n## Summary\ntea"
    )
    chain = read(kind, "headers", text)
    assert getattr(chain, scoter.step_field(steps[0])) == "stable: tea" and scoter.missing_steps(chain, steps) == [2]
    assert "Item Recommendation" in scoter.teach(steps).check(chain, {"steps": steps}).said
    assert scoter.teach(steps, whole=False).check is None
