"""Runs: what makes them the same, what is on disk when, and what can be read back."""

import os
import re
import sqlite3
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import polars as pl
import pytest

from whyrec.errors import LockedError, UnknownNameError, UsageError
from whyrec.llm.model import About, Reply, TokenLogprob, Usage
from whyrec.runs import CallRecord, Counts, Identity, Result, Run, list_runs, open_run, pack, remove_run
from whyrec.runs.export import write_parquet

ROOT = Path(__file__).resolve().parents[1]
IDENTITY = Identity("cot_rec.preference", "amazon14_beauty", "d1", "extractive", options={"batch": 10})


def done(key: str, **payload) -> Result:
    return Result(key, f"user of {key}", "valid", "done", payload=payload)


def failed(key: str, reason: str = "no answer", generation: int = 0) -> Result:
    return Result(key, f"user of {key}", "valid", "failed", reason, generation=generation)


def call(request: bytes = b"r" * 16, *, answer: str = "yes", about: About | None = None, **reply) -> CallRecord:
    return CallRecord(
        at=1.0,
        kind="complete",
        model="m",
        request=request,
        sample=0,
        retry=0,
        about=about or About(),
        settings=pack("{}"),
        answer=pack(answer),
        reply=Reply(answer, **reply),
    )


@pytest.fixture
def run(tmp_path: Path):
    run = Run.open(tmp_path, IDENTITY, command="whyrec run cot_rec.preference")
    yield run
    run.close()


# --- opening


def test_the_same_command_goes_on_and_new_starts_beside_it(tmp_path: Path) -> None:
    first = Run.open(tmp_path, IDENTITY)
    first.record([done("a", text="1")])
    first.close()
    again = Run.open(tmp_path, IDENTITY)
    assert again.id == first.id and again.statuses(["a", "b"]) == {"a": "done"}
    again.close()
    new = Run.open(tmp_path, IDENTITY, new=True)
    assert new.id == f"{first.id}-2" and new.statuses(["a"]) == {}
    new.close()
    latest = Run.open(tmp_path, IDENTITY)
    assert latest.id == new.id
    latest.close()


def test_one_writer_at_a_time_and_the_other_is_told_who(run: Run, tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        from pathlib import Path
        from whyrec.errors import LockedError
        from whyrec.runs import Identity, Run
        try:
            Run.open(Path({str(tmp_path)!r}), Identity("cot_rec.preference", "amazon14_beauty", "d1", "extractive",
                                                       options={{"batch": 10}}))
        except LockedError as error:
            print(error)
    """)
    said = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT)
    assert f"pid {os.getpid()}" in said and run.id in said and "--new" in said
    with pytest.raises(LockedError):
        Run.open(tmp_path, IDENTITY)


def test_manifest(run: Run, tmp_path: Path) -> None:
    info = run.info()
    assert (info["graph"], info["data"], info["data_digest"], info["state"]) == (
        "cot_rec.preference",
        "amazon14_beauty",
        "d1",
        "running",
    )
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?)?", info["git_revision"]) and '"batch":10' in info["settings"]
    assert info["pid"] == os.getpid() and info["command"] == "whyrec run cot_rec.preference"
    run.finish("done")
    assert run.info()["state"] == "done" and run.info()["ended_at"] >= info["started_at"]


def test_wrong_places(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(UsageError, match="is a file, but a folder is needed"):
        Run.open(tmp_path / "home", IDENTITY)
    (tmp_path / "runs" / IDENTITY.stem / "run.sqlite").mkdir(parents=True)
    with pytest.raises(UsageError, match="is a folder, but a SQLite file is needed"):
        Run.open(tmp_path, IDENTITY)
    (tmp_path / "runs" / IDENTITY.stem / "run.sqlite").rmdir()
    (tmp_path / "runs" / IDENTITY.stem / "run.sqlite").write_text("no database " * 200)
    with pytest.raises(UsageError, match="not a readable SQLite file"):
        Run.open(tmp_path, IDENTITY)


def test_a_folder_with_another_run_is_not_mixed(tmp_path: Path) -> None:
    run = Run.open(tmp_path, IDENTITY)
    run.close()
    connection = sqlite3.connect(run.folder / "run.sqlite")
    connection.execute("UPDATE run SET identity='0123456789abcdef'")
    connection.commit()
    connection.close()
    with pytest.raises(UsageError, match=r"holds another run.*--new"):
        Run.open(tmp_path, IDENTITY)


# --- results


def test_results_come_back_sorted_and_whole(run: Run) -> None:
    given = [done("b", text="ünï \ud800", n=1, part={"x": [1, None]}), failed("a", "no é"), done("c", text="")]
    run.record(given)
    assert list(run.results()) == sorted(given, key=lambda r: r.key)
    assert [r.key for r in run.results("failed")] == ["a"] and run.result("b") == given[0]
    assert run.result("zz") is None


def test_a_retried_example_replaces_its_failure_and_counts_once(run: Run) -> None:
    run.record([failed("a"), failed("b")])
    run.flush()
    assert (run.counts().done, run.counts().failed) == (0, 2)
    run.record([Result("a", "u", "valid", "done", payload={"text": "x"}, generation=1)])
    run.flush()
    assert (run.counts().done, run.counts().failed) == (1, 1)
    assert run.statuses(["a", "b"]) == {"a": "done", "b": "failed"}
    result = run.result("a")
    assert result is not None and result.generation == 1 and result.reason == ""


def test_statuses_of_more_keys_than_sqlite_takes_variables(run: Run) -> None:
    run.record([done(str(i), n=i) for i in range(1200)])
    assert len(run.statuses(str(i) for i in range(40_000))) == 1200


def test_the_digest_tells_results_not_their_history(tmp_path: Path) -> None:
    digests = []
    for home, batches in {
        "a": [[done("x", t=1), done("y", t=2)], [failed("z", "one way")]],
        "b": [[failed("y")], [failed("z", "another way", 3)], [done("y", t=2)], [done("x", t=1)]],
        "c": [[done("x", t=1), done("y", t=3), failed("z")]],
        "d": [[done("x", t=1), done("y", t=2)]],
        "e": [[done("x", t=1), done("y", t=2), done("z")]],
    }.items():
        run = Run.open(tmp_path / home, IDENTITY)
        for batch in batches:
            run.record(batch)
        digests.append(run.digest())
        run.close()
    assert digests[0] == digests[1] and len(set(digests)) == 4


def test_results_stream(run: Run) -> None:
    text = "".join(map(str, range(400)))
    for start in range(0, 10_000, 500):
        run.record([done(f"{i:05d}", text=text + str(i)) for i in range(start, start + 500)])
    run.flush()
    tracemalloc.start()
    assert sum(1 for _ in run.results()) == 10_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000  # all payloads are 12 MB


# --- calls


def test_a_call_comes_back_with_its_texts(run: Run) -> None:
    about = About(
        run=run.id, graph="g", node="n", agent="a", example="e", user="u", item="i", split="valid", prompt="p",
        prompt_digest="pd", prompt_text="say {{ x }}", turn=1,
    )  # fmt: skip
    run.log(call(about=about, usage=Usage(10, 5, 3), cost=0.5, queue_s=0.25, service_s=1.5, attempts=2, model="m-1"))
    (row,) = run.calls(user="u", node="n")
    expected = {
        "example": "e", "user": "u", "item": "i", "split": "valid", "graph": "g", "node": "n", "agent": "a",
        "prompt": "p", "prompt_digest": "pd", "turn": 1, "retry": 0, "sample": 0, "answer": "yes", "settings": "{}",
        "tokens_in": 10, "tokens_out": 5, "tokens_cached": 3, "cost": 0.5, "queue_s": 0.25, "service_s": 1.5,
        "attempts": 2, "answered_by": "m-1", "cache": "miss", "error": "", "error_kind": "", "finish": "stop",
    }  # fmt: skip
    assert {k: row[k] for k in expected} == expected
    assert list(run.calls(item="i")) == list(run.calls(example="e")) == list(run.calls(node="n")) == [row]
    assert list(run.calls(user="other")) == []
    prompts = run._read.execute("SELECT * FROM prompt").fetchall()
    assert prompts == [("pd", "p", "say {{ x }}")]
    with pytest.raises(UsageError, match=r"lost a text \(digest 12\)"):
        run.text(12)


@pytest.mark.parametrize(
    ("column", "index"), [("user", "call_user"), ("item", "call_item"), ("example", "call_example")]
)
def test_calls_of_one_user_are_an_index_look_up(run: Run, column: str, index: str) -> None:
    plan = run._read.execute(f"EXPLAIN QUERY PLAN SELECT * FROM call WHERE {column}=? AND {column}<>''", ("x",))
    assert index in plan.fetchone()[3]


def test_texts_are_stored_once(run: Run) -> None:
    for i in range(100):
        run.log(call(bytes([i]) * 16, answer="the same long answer " * 20))
    run.flush()
    assert run._read.execute("SELECT count(*) FROM text").fetchone() == (2,)


def test_counts_add_up_and_survive_reopening(tmp_path: Path) -> None:
    run = Run.open(tmp_path, IDENTITY)
    run.log(call(usage=Usage(10, 5, 2), attempts=3, cost=0.25))
    run.log(call(cache="hit", attempts=0))
    run.log(call(cache="joined", attempts=0))
    run.log(call(about=About(turn=1), usage=Usage(1, 1), cost=None))
    run.log(call()._replace(reply=None, answer=None, error_kind="TimedOut", error="too late", attempts=2))
    run.record([done("a"), failed("b")])
    run.flush()
    expected = Counts(
        done=1, failed=1, calls=5, asked=2, hits=1, joined=1, errors=1, repairs=1, retries=3, tokens_in=11,
        tokens_out=6, tokens_cached=2, cost=0.25, unpriced=1,
    )  # fmt: skip
    assert run.counts() == expected
    run.close()
    reader = open_run(tmp_path, run.id)
    assert reader.counts() == expected
    reader.close()
    again = Run.open(tmp_path, IDENTITY)
    again.log(call(cache="hit"))
    assert again.counts().hits == 2 and again.counts().calls == 6
    again.close()


def test_replay_finds_the_first_answer_of_a_request(run: Run) -> None:
    reply = Reply(
        "text",
        reasoning="because",
        sample=2,
        usage=Usage(7, 8, 1),
        finish_reason="length",
        logprobs=(TokenLogprob("A", -0.5, (("A", -0.5), ("B", -1.0))),),
        model="server-1",
    )
    logprobs = pack('[["A",-0.5,[["A",-0.5],["B",-1.0]]]]')
    run.log(call(b"1" * 16)._replace(reply=None, error_kind="TimedOut", error="x"))
    run.log(
        call(b"1" * 16)._replace(
            reply=reply, sample=2, answer=pack("text"), reasoning=pack("because"), logprobs=logprobs
        )
    )
    run.log(call(b"1" * 16, answer="later", cache="hit"))
    assert run.reply_for(b"1" * 16) == reply
    run.log(call(b"1" * 16, answer="mine", about=About(example="e7")))
    mine = run.reply_for(b"1" * 16, example="e7")
    assert mine is not None and mine.text == "mine"
    assert run.reply_for(b"1" * 16, example="e8") == reply
    assert run.reply_for(b"2" * 16) is None and run.scores_for(b"1" * 16) is None


def test_metrics_are_replaced_by_name_and_labels(run: Run) -> None:
    run.metric("loss", 1.0, epoch=1)
    run.metric("loss", 0.5, epoch=2)
    run.metric("loss", 0.7, epoch=1)
    assert [(m.name, m.value, m.labels) for m in run.metrics()] == [
        ("loss", 0.7, {"epoch": 1}),
        ("loss", 0.5, {"epoch": 2}),
    ]


# --- durability


def test_record_and_log_never_wait_for_the_disk(run: Run) -> None:
    blocker = sqlite3.connect(run.folder / "run.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    for i in range(200):
        run.record([done(str(i))])
        run.log(call())
    assert time.monotonic() - started < 1.0
    blocker.execute("COMMIT")
    blocker.close()
    assert len(list(run.results())) == 200


# --- many runs


def test_list_open_and_remove(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run = Run.open(tmp_path, Identity(f"g.{name}", "d", "x", "m"))
        run.record([done("k")])
        run.finish("done")
        run.close()
        time.sleep(0.01)
    listed = list_runs(tmp_path)
    assert [(i.graph, i.state, i.counts.done) for i in listed] == [("g.b", "done", 1), ("g.a", "done", 1)]
    reader = open_run(tmp_path, "g.a")
    assert reader.id == listed[1].id and reader.folder == tmp_path / "runs" / reader.id
    reader.close()
    with pytest.raises(UsageError, match=r"'g' is the beginning of 2 runs: g\.a-d-.*g\.b-d-"):
        open_run(tmp_path, "g")
    with pytest.raises(UnknownNameError, match="no run named 'nope'"):
        remove_run(tmp_path, "nope")
    remove_run(tmp_path, listed[0].id)
    assert [i.graph for i in list_runs(tmp_path)] == ["g.a"]
    assert list_runs(tmp_path / "elsewhere") == []


def test_a_run_being_written_is_readable_but_not_removable(run: Run, tmp_path: Path) -> None:
    run.record([done("a")])
    run.flush()
    reader = open_run(tmp_path, run.id)
    assert reader.statuses(["a"]) == {"a": "done"}
    reader.close()
    with pytest.raises(LockedError):
        remove_run(tmp_path, run.id)


def test_export_types_its_columns(run: Run, tmp_path: Path) -> None:
    run.record(
        [
            done("a", text="x", n=1, score=1, tags=["p", "q"], deep={"k": [1]}, user="U", ok=True, mixed=1),
            done("b", text="ÿ", n=2, score=0.5, tags=[], deep={"k": []}, user="V", ok=False, mixed="two"),
            failed("c", "why not"),
        ]
    )
    path = tmp_path / "out" / "results.parquet"
    assert write_parquet(run, path) == 3
    table = pl.read_parquet(path)
    assert table["key"].to_list() == ["a", "b", "c"] and table["reason"].to_list() == ["", "", "why not"]
    assert table.schema["n"] == pl.Int64 and table.schema["score"] == pl.Float64 and table.schema["ok"] == pl.Boolean
    assert table["tags"].to_list() == [["p", "q"], [], None]
    assert table["deep"].to_list() == ['{"k": [1]}', '{"k": []}', None]
    assert table["result_user"].to_list() == ["U", "V", None] and table["mixed"].to_list() == ["1", '"two"', None]
    with pytest.raises(UsageError, match="is a folder, but a Parquet file"):
        write_parquet(run, tmp_path)


def test_export_of_an_empty_run(run: Run, tmp_path: Path) -> None:
    assert write_parquet(run, tmp_path / "empty.parquet") == 0
    assert pl.read_parquet(tmp_path / "empty.parquet").shape == (0, 6)


# --- docs


def test_the_documentation_names_every_table_and_column(run: Run) -> None:
    page = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
    tables = [row[0] for row in run._read.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    for table in tables:
        section = re.search(rf"^### `{table}`\n(.*?)(?=^##|\Z)", page, re.S | re.M)
        assert section is not None, f"docs/runs.md has no section on the table {table}"
        for column in run._read.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchall():
            assert f"`{column[0]}`" in section[1], f"docs/runs.md does not explain {table}.{column[0]}"
    for statement in re.findall(r"```sql\n(.*?)```", page, re.S):
        run._read.execute("EXPLAIN " + statement.replace("sqlar_uncompress", "coalesce"))
