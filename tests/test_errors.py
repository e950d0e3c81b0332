"""A sentence stays one that a person can read, whatever was put into it."""

from __future__ import annotations

from whyrec.errors import UnknownNameError, UsageError


def test_a_word_without_end_is_shown_by_its_ends():
    told = str(UsageError(f"There is nothing at {'a' * 100_000}: name a file."))
    assert told.startswith("There is nothing at aaa") and told.endswith("aaa: name a file.") and len(told) < 500
    assert "characters" in told


def test_so_is_a_message_without_end_and_a_name_nobody_knows():
    assert len(str(UsageError("many words " * 10_000))) <= 4_100
    told = str(UnknownNameError("graph", "a" * 100_000, ["cot_rec.preference"]))
    assert len(told) < 700 and "cot_rec.preference" in told


def test_what_is_short_enough_is_left_alone():
    assert str(UsageError("No user has three events.")) == "No user has three events."
