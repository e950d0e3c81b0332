"""What a run asks and tells its caller: before the first call, at its end, and about data that do not fit."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

import whyrec
from whyrec.cli import build
from whyrec.errors import UsageError
from whyrec.llm import open_provider
from whyrec.llm.model import Reply, Request
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.settings import read_settings

WORLD = "world:users=60,items=120"


class Slow(Wrapper):
    """Takes its time for an answer."""

    async def complete(self, request: Request) -> list[Reply]:
        await asyncio.sleep(0.2)
        return await self.inner.complete(request)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYREC_LLM", "extractive")
    monkeypatch.chdir(tmp_path)


def test_a_run_is_begun_only_where_confirm_says_yes() -> None:
    told: list[whyrec.Expected] = []

    def no(expected: whyrec.Expected) -> bool:
        told.append(expected)
        return False

    with pytest.raises(whyrec.NotConfirmed, match="4 examples") as refused:
        whyrec.run("cot_rec.preference", WORLD, users=4, confirm=no)
    assert not whyrec.list_runs() and refused.value.expected is told[0]
    expected = whyrec.estimate("cot_rec.preference", WORLD, users=4)
    assert (expected.calls, expected.most) == (told[0].calls, told[0].most) and expected.graph == told[0].graph
    assert str(expected).startswith(f"cot_rec.preference over {WORLD} by extractive: 4 examples, about")
    assert "summarise" in expected._repr_html_() and expected.to_dict()["most"] == expected.most
    run = whyrec.run("cot_rec.preference", WORLD, users=4, confirm=lambda e: e.most == expected.most, command="mine")
    assert run.complete and run.info["command"] == "mine"


def test_what_confirm_raises_is_handed_on() -> None:
    def broken(_: whyrec.Expected) -> bool:
        raise LookupError("nobody there")

    with pytest.raises(LookupError, match="nobody there"):
        whyrec.run("cot_rec.preference", WORLD, users=4, confirm=broken)
    assert not whyrec.list_runs()


def test_an_interrupt_hands_over_what_there_is_and_says_what_to_expect() -> None:
    said: list[str] = []
    sent = threading.Event()

    def after_the_first(now: object) -> None:
        if getattr(now, "done", 0) and not sent.is_set():
            sent.set()
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(whyrec.RunInterrupted) as stopped:
            whyrec.run(
                "cot_rec.preference", WORLD, llm=Slow(open_provider("extractive", settings=read_settings())),
                concurrency=2, progress=after_the_first, say=said.append,
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    report = stopped.value.run.report
    assert isinstance(stopped.value, KeyboardInterrupt) and report is not None
    assert 0 < report.done < 60 and report.exit_code == 130 and not stopped.value.run.complete
    assert said == ["Finishing what is in flight; interrupt again to drop it."]


def short(tmp_path: Path, events: int) -> Path:
    file = tmp_path / "clicks.csv"
    file.write_text("u,i,t\n" + "".join(f"u{u},{i},{i}\n" for u in range(5) for i in range(events)))
    return file


def test_nobody_to_run_for_is_said_and_ends_the_command_with_1(tmp_path: Path) -> None:
    name = f"{short(tmp_path, 2)}?user=u&item=i&time=t"
    with pytest.raises(whyrec.NoExamples, match="three events"):
        whyrec.run("cot_rec.preference", name)
    for command in ("run", "estimate"):
        found = CliRunner().invoke(build(), [command, "cot_rec.preference", "--data", name])
        assert found.exit_code == 1 and "three events" in found.stderr and not found.stdout


def test_data_that_do_not_fit_are_a_warning_and_a_line_of_the_command(tmp_path: Path) -> None:
    rows = "".join(f"u{u},{i},{i}\n" for u in range(5) for i in range(20))
    (tmp_path / "clicks.csv").write_text(f"u,i,t\n{rows}")
    (tmp_path / "items.csv").write_text("i,title\n" + "".join(f"{i},Thing {i}\n" for i in range(15)))
    name = "clicks.csv?user=u&item=i&time=t&items=items.csv"
    with pytest.warns(whyrec.DataWarning) as warned:
        whyrec.load_data(name)
    found = CliRunner().invoke(build(), ["run", "cot_rec.preference", "--data", name, "--users", "2"])
    assert found.exit_code == 0 and f"Warning: {warned[0].message}\n" in found.stderr
    assert "Warning" not in found.stdout and "DataWarning" not in found.stderr


def test_a_run_that_is_not_confirmed_is_no_usage_of_a_wrong_kind() -> None:
    assert issubclass(whyrec.NotConfirmed, UsageError) and issubclass(whyrec.NoExamples, UsageError)
