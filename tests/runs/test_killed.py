"""Runs whose process is killed, or whose disk is full: what was committed stays, and the same command goes on."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from whyrec.runs import Identity, Result, Run
from whyrec.sqlite import BATCH_ROWS

ROOT = Path(__file__).resolve().parents[2]

WRITER = """
    import sys, time
    from pathlib import Path
    from whyrec.llm.model import About, Reply
    from whyrec.runs import CallRecord, Identity, Result, Run, pack

    run = Run.open(Path(sys.argv[1]), Identity("g", "d", "x", "m"))
    i = 0
    while True:
        run.log(CallRecord(time.time(), "complete", "m", i.to_bytes(16, "big"), 0, 0, About(example=str(i)),
                           pack("{}"), answer=pack(str(i)), reply=Reply(str(i))))
        run.record([Result(f"{i:06d}", "u", "test", "done", payload={"i": i})])
        i += 1
        if i % 10 == 0:
            print(i, flush=True)
        time.sleep(0.0005)
"""


def killed_writer(home: Path, lines: int = 30) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(home)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    return process


def test_a_killed_run_keeps_what_was_committed_and_goes_on(tmp_path: Path) -> None:
    killed_writer(tmp_path)
    run = Run.open(tmp_path, Identity("g", "d", "x", "m"))
    results = list(run.results())
    assert len(results) >= 300 - 2 * BATCH_ROWS - 200  # what 100 ms of this writer may be
    assert [r.payload for r in results] == [{"i": i} for i in range(len(results))]
    assert all(run.reply_for(i.to_bytes(16, "big")) for i in range(len(results)))
    assert run.counts().done == len(results)
    run.close()


LIMITED = """
    import resource, sys
    from pathlib import Path
    from whyrec.errors import UsageError
    from whyrec.runs import Identity, Result, Run

    limit = int(sys.argv[2])
    run = None
    try:
        if limit < 1000:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        run = Run.open(Path(sys.argv[1]), Identity("g", "d", "x", "m"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        for i in range(5000):
            run.record([Result(f"{i:06d}", "u", "test", "done", payload={"i": [str(j * i) for j in range(200)]})])
            run.flush()
        print("never")
    except UsageError as error:
        print(error)
    finally:
        try:
            if run is not None:
                run.close()
        except UsageError as error:
            print("closed:", error)
"""


@pytest.mark.parametrize("limit", [300_000, 500])
def test_no_space_is_one_sentence_and_loses_nothing(tmp_path: Path, limit: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path), str(limit)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "no space left to write" in ended.stdout.splitlines()[0] and "same command again" in ended.stdout
    assert "never" not in ended.stdout and "Traceback" not in ended.stderr
    run = Run.open(tmp_path, Identity("g", "d", "x", "m"))
    keys = [r.key for r in run.results()]
    assert keys == [f"{i:06d}" for i in range(len(keys))] and (limit < 1000 or len(keys) > 5)
    run.record([Result("more", "u", "test", "done", payload={})])
    run.close()


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    process = killed_writer(tmp_path)
    Run.open(tmp_path, Identity("g", "d", "x", "m")).close()
    assert process.returncode == -signal.SIGKILL
