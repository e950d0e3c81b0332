"""Labels: what counts, how calls are filtered by them, what is exported, saved for tuning, and compared."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

from graphs.run import How, run
from whyrec.cli.trace import app
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import open_run
from whyrec.settings import Settings
from whyrec.trace import Calls, Wanted
from whyrec.trace.labels import Label, Labels
from whyrec.workbench import labels as bench
from whyrec.workbench.asked import asked
from whyrec.workbench.compare_recorded import compare_runs

WORLD = "world:users=12,items=40,seed=3"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with two runs: (settings, good, poor)."""
    settings = Settings(home=tmp_path_factory.mktemp("labels"))
    data = open_data(WORLD, settings=settings)
    made = [
        asyncio.run(
            run("cot_rec.preference", corpus=data.data, model=llm, how=How(settings=settings, world=data.world))
        ).run
        for llm in ("simulated:1", "simulated:0.3")
    ]
    return settings, *made


@pytest.fixture
def reader(home):
    found = open_run(home[0].home, home[1])
    yield found
    found.close()
    (home[0].home / "labels.sqlite").unlink(missing_ok=True)


@pytest.fixture
def marks(home, reader):
    def mark(verdict="", note="", **of):
        return Labels(home[0].home).mark(Label(home[1], verdict=verdict, note=note, who="ann", **of))

    return mark


def ids(reader, **wanted):
    with Calls(reader) as calls:
        found = calls.find(Wanted(**wanted), limit=1000)
        assert calls.count(Wanted(**wanted)) == len(found)
    return [line.id for line in found]


def test_the_last_label_counts_and_an_empty_one_takes_it_back(home, marks):
    marks("good", call=3)
    marks("bad", "Says nothing of the boots.", call=3)
    marks("", "Look again.", example="test/u1")
    found = Labels(home[0].home).of_run(home[1])
    assert (found.calls[3].verdict, found.calls[3].note, found.calls[3].who) == (
        "bad",
        "Says nothing of the boots.",
        "ann",
    )
    assert found.calls[3].at > 1.7e9 and found.examples["test/u1"].told == "note"
    marks("", call=3)
    assert 3 not in Labels(home[0].home).of_run(home[1]).calls
    assert [one.verdict for one in Labels(home[0].home).history(home[1]) if one.call == 3] == ["good", "bad", ""]
    assert not Labels(home[0].home).of_run(home[2]).calls, "of another run"


def test_a_label_is_of_one_thing_and_in_bounds(home, marks):
    for wrong in ({"verdict": "great", "call": 1}, {"verdict": "good"}, {"verdict": "good", "call": 1, "example": "x"}):
        with pytest.raises(UsageError):
            marks(**wrong)
    with pytest.raises(UsageError, match="4,000"):
        marks(note="x" * 4001, call=1)
    assert not (home[0].home / "labels.sqlite").exists()


def test_calls_are_filtered_by_their_own_label_or_their_examples(reader, marks):
    everything = ids(reader)
    of_u1 = ids(reader, user="u1")
    assert len(of_u1) >= 2 and ids(reader, label="any") == [] and ids(reader, label="none") == everything
    marks("good", example="test/u1")
    marks("bad", "no", call=of_u1[0])
    other = next(number for number in everything if number not in of_u1)
    marks("good", call=other)
    assert ids(reader, label="good") == sorted([other, *of_u1[1:]]), "its own label goes before its example's"
    assert ids(reader, label="bad") == ids(reader, label="note") == [of_u1[0]]
    assert set(ids(reader, label="none")) == set(everything) - {other, *of_u1}
    assert ids(reader, label="good", user="u1") == of_u1[1:]
    with pytest.raises(UnknownNameError, match="great"):
        ids(reader, label="great")


def test_saved_calls_are_the_conversations_as_they_were_sent(reader, marks, tmp_path):
    first, second = ids(reader)[:2]
    marks("good", call=first)
    told = bench.save(reader, Wanted(label="good"), tmp_path / "good.jsonl")
    (line,) = (tmp_path / "good.jsonl").read_text().splitlines()
    row = json.loads(line)
    found = asked(reader, first)
    sent = [{"role": m.role, "content": m.content} for m in found.request.messages]
    assert row["messages"] == [*sent, {"role": "assistant", "content": found.call["answer"]}]
    assert row["call"] == f"{reader.id}:{first}" and (told.saved, told.unusable) == (1, 0)
    everything = bench.save(reader, Wanted(), tmp_path / "all.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert everything.saved == len(rows) == len({json.dumps(row["messages"]) for row in rows})
    assert everything.saved + everything.repeated + everything.unusable == len(ids(reader))
    with pytest.raises(UsageError, match="can be saved"):
        bench.save(reader, Wanted(label="bad"), tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists() and second
    with pytest.raises(UsageError, match="cannot be written"):
        bench.save(reader, Wanted(), tmp_path / "no" / "such" / "folder.jsonl")


def test_an_answer_of_no_use_is_no_example_to_learn_from(home, tmp_path):
    from whyrec.llm.built_in.scripted import Scripted

    data = open_data(WORLD, settings=home[0])
    how = How(settings=home[0])
    made = asyncio.run(run("cot_rec.preference", corpus=data.data, model=Scripted(lambda *_: "No."), how=how))
    found = open_run(home[0].home, made.run)
    try:
        with pytest.raises(UsageError, match="had no answer of use"):
            bench.save(found, Wanted(), tmp_path / "x.jsonl")
        assert bench.save(found, Wanted(status="unusable"), tmp_path / "x.jsonl").saved, "unless it is asked for"
    finally:
        found.close()


def test_labels_are_an_outcome_of_a_comparison(home, marks, reader):
    settings, good, poor = home
    names = [row.name for row in compare_runs([good, poor], settings).rows]
    assert bench.GOOD not in names
    for user in range(12):
        Labels(settings.home).mark(Label(poor, example=f"test/u{user}", verdict="bad" if user else "good"))
        if user < 11:
            marks("good", example=f"test/u{user}")
    marks("bad", call=ids(reader, user="u11")[0])
    (row,) = [row for row in compare_runs([good, poor], settings).rows if row.name == bench.GOOD]
    assert row.outcome and row.better == "higher"
    assert [mean.mean for mean in row.means if mean] == [11 / 12, 1 / 12], "u11 has the label of its call"
    difference, p, n = row.tested(1)
    assert difference.startswith("-0.8333") and n == "12" and p != ""


def test_the_command_line_labels_lists_exports_and_saves(home, reader, monkeypatch, tmp_path):
    monkeypatch.setenv("WHYREC_HOME", str(home[0].home))
    monkeypatch.setenv("COLUMNS", "200")
    invoke = lambda *args: CliRunner().invoke(app, list(args))  # noqa: E731
    run_id = home[1]
    assert invoke("labels", run_id).exit_code == 1
    done = invoke("label", f"{run_id}:2", "good", "--note", "Short and true.", "--who", "bob")
    assert done.exit_code == 0 and f'{run_id}:2: good "Short and true.", says bob' in done.output
    assert invoke("label", f"{run_id}/u3", "bad").exit_code == 0
    shown = [json.loads(line) for line in invoke("labels", run_id).stdout.splitlines()]
    assert [(one.get("call"), one.get("example"), one["label"]) for one in shown[1:]] == [(None, "test/u3", "bad")]
    assert (
        shown[0]["call"] == 2 and shown[0]["who"] == "bob" and shown[0]["answer"] and shown[1]["result"]["user"] == "u3"
    )
    file = tmp_path / "labels.jsonl"
    assert "2 labels" in invoke("labels", run_id, "--out", str(file)).output
    assert [json.loads(line) for line in file.read_text().splitlines()] == shown
    saved = tmp_path / "good.jsonl"
    assert "1 conversations" in invoke("save", run_id, "--label", "good", "--out", str(saved)).output
    assert json.loads(saved.read_text())["messages"][-1]["role"] == "assistant"
    listed = invoke("ls", run_id, "--label", "good", "--format", "json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in listed] == [2]
    assert invoke("label", f"{run_id}:2", "none").exit_code == 0 and "u3" in invoke("labels", run_id).stdout
    for wrong in (
        ("label", f"{run_id}:99999", "good"),
        ("label", f"{run_id}/nobody", "good"),
        ("label", f"{run_id}:2"),
    ):
        assert invoke(*wrong).exit_code != 0
