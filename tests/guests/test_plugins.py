"""Plug-ins are found wherever they are named, and a broken one is named and stops nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from graphs import workflow
from whyrec import plugins
from whyrec.llm.registry import openers

PROVIDER = """
from whyrec.llm.registry import Provider
from whyrec.llm.built_in.extractive import Extractive
A = Provider("{name}", lambda rest, *, settings, world: Extractive(), "one of mine", "{name}:x", real=False)
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugins.forget()
    yield
    plugins.forget()


def test_in_settings_in_the_environment_and_by_hand(tmp_path, monkeypatch):
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.py").write_text(PROVIDER.format(name=name))
    assert not {"one", "two", "three"} & openers().keys()
    (tmp_path / "whyrec.toml").write_text('plugins = ["one.py"]\n')
    assert "one" in openers()
    monkeypatch.setenv("WHYREC_PLUGINS", "two.py")  # instead of the file's, as with every setting
    assert {"one", "two"} & openers().keys() == {"two"}
    plugins.use(["three.py"])
    assert {"two", "three"} <= openers().keys()
    assert not plugins.problems()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero (line 1 of bad.py)"),
        ("import no_such_package", "ModuleNotFoundError"),
        ("def", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("x = 1", "declares nothing"),
    ],
)
def test_a_broken_one_is_named_once_and_the_others_are_there(tmp_path, capsys, text, words):
    (tmp_path / "bad.py").write_text(text)
    (tmp_path / "good.py").write_text(PROVIDER.format(name="good"))
    plugins.use(["bad.py", "good.py"])
    assert "good" in openers() and "good" in openers()
    said = capsys.readouterr().err
    assert words in said and "bad.py" in said
    assert said.count("\n") == 1


def test_a_file_that_is_not_there_is_named(capsys):
    plugins.use(["nowhere.py"])
    assert "openai" in openers()
    assert "nowhere.py cannot be used: No such file or directory" in capsys.readouterr().err


def test_names_of_ours_and_of_one_another_are_not_taken(tmp_path, capsys):
    (tmp_path / "a.py").write_text(PROVIDER.format(name="echo"))
    (tmp_path / "b.py").write_text(PROVIDER.format(name="same"))
    (tmp_path / "c.py").write_text(PROVIDER.format(name="same").replace("one of mine", "another"))
    plugins.use(["a.py", "b.py", "c.py"])
    found = openers()
    assert found["echo"].help != "one of mine"
    assert found["same"].help == "one of mine"
    said = capsys.readouterr().err
    assert "'echo', which is whyrec's own name" in said and "'same', which" in said


def test_entry_points_of_an_installed_package(tmp_path, monkeypatch, capsys):
    (tmp_path / "their_models.py").write_text(PROVIDER.format(name="theirs") + "NOT = 3\n")
    folder = tmp_path / "their_models-2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: their-models\nVersion: 2.0\n")
    (folder / "entry_points.txt").write_text(
        "[whyrec.providers]\ntheirs = their_models:A\nwrong = their_models:NOT\ngone = their_models:GONE\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert "theirs" in openers()
    assert plugins.found("providers")["theirs"].where == "their-models 2.0"
    said = capsys.readouterr().err
    assert "is a int, no declaration of whyrec.providers" in said and "AttributeError" in said


def test_an_edited_file_is_read_anew(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(PROVIDER.format(name="first"))
    plugins.use(["a.py"])
    assert "first" in openers()
    file.write_text(PROVIDER.format(name="second"))
    assert "second" in openers() and "first" not in openers()


def test_nothing_of_them_is_imported_for_our_own_names(tmp_path):
    (tmp_path / "loud.py").write_text("raise RuntimeError('imported')")
    plugins.use(["loud.py"])
    assert workflow.workflow("cot_rec.preference").name == "cot_rec.preference"
    assert not plugins._told


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_plug_in_may_be_named_anywhere_in_a_command(tmp_path, place):
    (tmp_path / "mine.py").write_text(PROVIDER.format(name="mine"))
    words = ["run", "cot_rec.preference", "--data", "world:users=9,items=40", "--llm", "mine:x", "--users", "2", "-q"]
    words[place:place] = ["--plugin", "mine.py"]
    done = subprocess.run([sys.executable, "-m", "whyrec", *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 done" in done.stdout


def test_a_plug_in_without_a_file_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "whyrec", "llm", "ls", "--plugin"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "--plugin needs a Python file" in done.stderr
