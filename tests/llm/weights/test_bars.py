"""Bars that redraw their line are drawn at a terminal only: a file or a pipe would keep every step of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from whyrec.llm.weights.bars import bars, bars_of_gguf

transformers = pytest.importorskip("transformers")
from transformers.utils import logging  # noqa: E402 (only where it is installed)

from whyrec.llm.weights.convert import convert  # noqa: E402
from whyrec.llm.weights.get import How, get, wanted  # noqa: E402
from whyrec.settings import read_settings  # noqa: E402


@pytest.fixture
def file(tiny_model: Path, tiny_gguf: ModuleType, tmp_path: Path) -> Path:
    made: Path = tiny_gguf.write(tiny_model, tmp_path / "Tiny.F32.gguf")
    return made


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "_tqdm_active", True)


def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_a_gguf_file_is_turned_into_a_folder_without_bars_where_output_is_piped(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    get(wanted(str(file)), settings=read_settings(), how=How(loud=True))
    captured = capsys.readouterr()
    assert not captured.err and "\r" not in captured.out
    assert logging.is_progress_bar_enabled(), "as it was before"


def test_at_a_terminal_they_are_drawn_unless_nobody_wants_them(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(monkeypatch)
    convert(file, tmp_path / "one", scratch=tmp_path, loud=False)
    assert not capsys.readouterr().err
    convert(file, tmp_path / "two", scratch=tmp_path, loud=True)
    drawn = capsys.readouterr().err
    assert "\r" in drawn and "GGUF" in drawn, "else the first half of this test says nothing"


def test_a_model_is_loaded_without_bars_where_output_is_piped(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> str:
        with bars():
            transformers.AutoModelForCausalLM.from_pretrained(tiny_model)
        return capsys.readouterr().err

    assert "\r" not in load()
    terminal(monkeypatch)
    assert "Loading weights" in load(), "where somebody looks they stay"


def test_what_was_switched_off_before_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "_tqdm_active", False)
    with bars(), bars_of_gguf():
        assert not logging.is_progress_bar_enabled()
    assert not logging.is_progress_bar_enabled()


def test_quiet_holds_for_libraries_that_are_imported_later() -> None:
    code = (
        "import sys; from whyrec.cli.shared.quiet import without_bars\n"
        "with without_bars(sys.argv[1] == 'quiet'):\n"
        " from huggingface_hub.utils import are_progress_bars_disabled as off\n"
        "import os; print(off(), 'HF_HUB_DISABLE_PROGRESS_BARS' in os.environ)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_PROGRESS_BARS"}
    for how, told in (("quiet", "True False"), ("loud", "False False")):
        done = subprocess.run(
            [sys.executable, "-c", code, how], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stdout.strip() == told
