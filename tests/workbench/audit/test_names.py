"""Names in texts: whole, cut, misspelt, by id and number; and what is no naming."""

from __future__ import annotations

import pytest

from whyrec.workbench.audit.names import Text, name_of

TAPE = name_of(17, "B00ABCDEF1", "Gorilla Tape, Black Tough & Wide Duct Tape")
KETTLE = name_of(3, "i3", "Brewhaus Aromatic Kettle Premium with mug")


@pytest.mark.parametrize(
    ("text", "name", "how"),
    [
        ("will buy BREWHAUS aromatic kettle premium with mug!", KETTLE, "title"),
        ("a Brewhaus Aromatic Kettle Premium, I think", KETTLE, "beginning"),
        ("one of the gorilla tape kind", TAPE, "beginning"),
        ("a Brewhaus Aromtic Kettle Premum with mug", KETTLE, "spelling"),
        ("likes i3 best", KETTLE, "id"),
        ("buys B00ABCDEF1.", TAPE, "id"),
        ("the one marked [17]", TAPE, "number"),
    ],
)
def test_namings(text, name, how):
    hit = Text(text).find(name, numbers=True)
    assert hit is not None and hit.how == how and "item" in str(hit)


@pytest.mark.parametrize(
    "text",
    ["a kettle with a mug", "i33 and wi3", "Brewhaus", "17 of them", "tape, black", ""],
)
def test_what_is_no_naming(text):
    assert Text(text).find(KETTLE, numbers=True) is None and Text(text).find(TAPE, numbers=True) is None


def test_an_item_without_title_or_telling_id_is_never_named():
    nothing = name_of(9, "12", "")
    assert Text("12 of anything").find(nothing) is None and not nothing.needles and not nothing.id


def test_accents_and_case_are_no_difference():
    assert Text("Creme BRULEE torch").find(name_of(1, "1", "Crème Brûlée Torch")) is not None


def test_what_may_be_seen_explains_a_naming_that_it_holds_or_is_nearer_to():
    blue = name_of(5, "i5", "Lumen PLA Printer Filament 1.75mm Spool Blue")
    hit = Text("likes Lumen PLA Printer Filament 1.75mm Spool Pink").find(blue)
    assert hit is not None and hit.how == "beginning"
    assert Text("Lumen PLA Printer Filament 1.75mm Spool Pink").explains(hit)
    misspelt = Text("wants a Lumen PLA Printr Filament 1.75mm Spool Blue").find(blue)
    assert misspelt is not None and misspelt.how == "spelling"
    assert not Text("Lumen PLA Printer Filament 1.75mm Spool Pink").explains(misspelt)
    assert not Text("quite another thing").explains(misspelt)
