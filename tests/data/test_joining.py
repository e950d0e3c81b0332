"""Interactions and their catalogue: what does not join, what nearly does, and what the option maps."""

import polars as pl
import pytest

from whyrec.data import joining
from whyrec.data.prepare import prepare
from whyrec.data.raw import ITEM_SCHEMA, Raw
from whyrec.errors import UnknownNameError, UsageError


def raw(items, entries, users=None, file="items.jsonl"):
    rows = pl.DataFrame({"user": users or ["u"] * len(items), "item": items})
    table = pl.DataFrame([(e, f"title of {e}", "", "", []) for e in entries], schema=ITEM_SCHEMA, orient="row")
    return Raw("hand", rows, table, file)


@pytest.mark.parametrize(
    ("written", "entry", "rules"),
    [
        ("0108", "108", "zeros"),
        ("108", "0108", "zeros"),
        ("11.0", "11", "float"),
        ("11", "11.0", "float"),
        ("B00a", "b00A", "case"),
        (" x", "x ", "spaces"),
        ("007.0", "7", "float,zeros"),
        (" A1", "a1", "spaces,case"),
    ],
)
def test_the_near_spelling_is_named_and_maps(written, entry, rules):
    data = raw([written], [entry])
    corpus = prepare(data, "d")
    assert corpus.item(1).title == ""
    (told,) = joining.warnings(corpus)
    assert repr(written) in told and repr(entry) in told and f"?ids={rules} " in told
    with pytest.raises(UsageError, match=f"ids={rules} "):
        joining.need_joined(corpus)
    mapped = prepare(data, "d", ids=joining.rules_of(rules))
    assert (mapped.item(1).id, mapped.item(1).title) == (entry, f"title of {entry}")
    assert not joining.warnings(mapped) and mapped.notes["ids"]["item ids mapped"] == 1
    joining.need_joined(mapped)


def test_the_fewest_rules_are_named():
    corpus = prepare(raw(["01", "02", "3.0"], ["1", "2", "9"]), "d")
    assert corpus.notes["near entries"]["ids"] == "zeros" and corpus.notes["near entries"]["items"] == 2


def test_no_near_match_is_a_warning_and_no_refusal():
    corpus = prepare(raw(["a", "b"], ["x"]), "d")
    assert "None is near one in spelling" in joining.warnings(corpus)[0]
    joining.need_joined(corpus)


def test_without_a_catalogue_or_with_few_missing_nothing_is_said():
    assert joining.warnings(prepare(raw(["a"], [], file=""), "d")) == []
    ids = [f"i{n}" for n in range(100)]
    assert joining.warnings(prepare(raw(ids, ids[3:]), "d")) == []
    assert joining.warnings(prepare(raw(ids, ids[4:]), "d"))


def test_half_of_the_items_missing_is_no_refusal():
    joining.need_joined(prepare(raw(["01", "02", "3", "4"], ["1", "2", "3", "4"]), "d"))


def test_ids_as_written_go_on_without_texts():
    corpus = prepare(raw(["01"], ["1"]), "d", ids=joining.rules_of("as_written"))
    joining.need_joined(corpus)
    assert corpus.item(1).id == "01" and joining.warnings(corpus)


def test_an_exact_entry_is_kept_and_an_ambiguous_one_not_taken():
    corpus = prepare(raw(["a", "A", "b"], ["a", "A", "B", "b "]), "d", ids=joining.rules_of("case,spaces"))
    assert [corpus.item(i).id for i in (1, 2, 3)] == ["a", "A", "b"], "B and 'b ' both could be b"


def test_float_ids_lose_their_end_without_a_catalogue_and_for_users_too():
    data = raw(["1.0", "2.0"], [], users=["7.0", "7.0"], file="")
    assert "user 7.0, item 1.0" in joining.warnings(prepare(data, "d"))[0]
    corpus = prepare(data, "d", ids=joining.rules_of("float"))
    assert corpus.user_ids.to_list() == ["7"] and corpus.catalogue["id"].to_list() == ["1", "2"]
    assert joining.warnings(corpus) == []


def test_ids_that_say_nothing_are_told():
    assert "user nan" in joining.warnings(prepare(raw(["a", "b"], [], users=["nan", "u"], file=""), "d"))[0]


@pytest.mark.parametrize("option", ["zeroes", "zeros,as"])
def test_unknown_spellings(option):
    with pytest.raises(UnknownNameError):
        joining.rules_of(option)
    with pytest.raises(UsageError):
        joining.rules_of("as_written,case")


def test_of_several_entries_each_text_is_the_first_that_is_there():
    rows = [("a", " ", "", "", []), ("b", "B", "", "x", []), ("a", "A", "d", "", ["c"]), ("a", "later", "", "y", ["z"])]
    told = joining.first_told(pl.DataFrame(rows, schema=ITEM_SCHEMA, orient="row"))
    assert told.rows() == [("a", "A", "d", "y", ["c"]), ("b", "B", "", "x", [])]


def test_readers_keep_entries_that_are_near():
    met = joining.Met(pl.Series(["0108", "B0a"]))
    assert [met.near(e) for e in ("0108", "108", 108, "b0A", " B0a ", "108.0", "109", None)] == [True] * 6 + [False] * 2
