"""Rows are what they were when they were written, and a row that is none is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rec_models.tuning.rows import held_out, read_rows, write_rows
from whyrec.errors import LeakageError, UsageError
from whyrec.llm.model import Message


def test_rows_come_back_as_they_were_written(topic_rows, tmp_path: Path) -> None:
    rows = topic_rows(12, events=3)
    write_rows(rows, tmp_path / "rows.jsonl")
    assert read_rows(tmp_path / "rows.jsonl") == rows
    head = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
    assert head["digest"] == rows.digest and head["made"]["split"] == "valid"
    assert head["prompts"] == {"test/pick": rows.train[0].digest}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: line["messages"][1].update(content="another question"), "does not make of its blanks"),
        (lambda line: line["blanks"].update(reason="wants something else"), "does not make of its blanks"),
        (lambda line: line["messages"][-1].update(content="Z"), "none of its labels"),
        (lambda line: line["messages"].pop(), "does not end in an answer"),
        (lambda line: line.update(labels=5), "labels are a list"),
        (lambda line: line.update(blanks=["x"]), "blanks are names with values"),
        (lambda line: line.update(messages="hello"), "needs messages"),
        (lambda line: line.update(digest="0" * 16), "make the rows anew"),
        (lambda line: line.update(part="neither"), "neither that it is of train"),
    ],
)
def test_a_line_that_was_changed_is_refused(topic_rows, tmp_path: Path, change, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    write_rows(topic_rows(4), file)
    lines = file.read_text().splitlines()
    line = json.loads(lines[2])
    change(line)
    file.write_text("\n".join([*lines[:2], json.dumps(line), *lines[3:]]))
    with pytest.raises(UsageError, match=said):
        read_rows(file)


def test_a_line_that_is_missing_is_missed(topic_rows, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    write_rows(topic_rows(4), file)
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    with pytest.raises(UsageError, match="is not what its first line says"):
        read_rows(file)


def test_rows_of_test_targets_are_refused(topic_rows, tmp_path: Path) -> None:
    rows = topic_rows(4)
    write_rows(replace(rows, made={"split": "test"}), tmp_path / "rows.jsonl")
    with pytest.raises(LeakageError, match="test targets"):
        read_rows(tmp_path / "rows.jsonl")


def test_any_conversations_are_rows_and_the_same_ones_are_held_out_every_time(tmp_path: Path) -> None:
    """The form that `whyrec trace` and the page write data sets from calls in."""
    file = tmp_path / "calls.jsonl"
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    told = [
        {"messages": [*turns, {"role": "assistant", "content": f"Because {n}."}], "call": f"run:{n}"} for n in range(20)
    ]
    file.write_text("\n".join(map(json.dumps, told)))
    rows = read_rows(file, dev=0.2)
    assert (len(rows.train), len(rows.dev)) == (16, 4) and read_rows(file, dev=0.2) == rows
    assert rows.train[0].messages == (Message("system", "Be brief."), Message("user", "Why?"))
    assert {row.key for row in (*rows.train, *rows.dev)} == {f"run:{n}" for n in range(20)}


def test_rows_of_one_user_are_on_one_side(topic_rows) -> None:
    rows = topic_rows(30).train
    doubled = [replace(row, key=f"{row.key}/{turn}") for row in rows for turn in range(3)]
    train, dev = held_out(doubled, 0.3)
    assert dev and not {row.group for row in train} & {row.group for row in dev}
    assert len(train) + len(dev) == len(doubled)


def test_the_letter_goes_with_its_option(topic_rows) -> None:
    for row in topic_rows(6).train:
        was = row.blanks["options"][row.labels.index(row.answer)]["title"]
        for order in ((3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1)):
            now = row.reordered(order)
            assert now.blanks["options"][now.labels.index(now.answer)]["title"] == was
            assert f"{now.answer}. {was}" in now.messages[-1].content


def test_rows_without_anything_to_learn_from_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(UsageError, match="no row to learn from"):
        read_rows(tmp_path / "empty.jsonl")
