"""`whyrec new` in an empty folder, nothing edited: everything whyrec does works with what it wrote."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from whyrec import plugins
from whyrec.cli import build

WORLD = "world:users=40,items=60"


@pytest.fixture
def whyrec(tmp_path, monkeypatch):
    """The command line in an empty folder; what a command said."""
    monkeypatch.chdir(tmp_path)
    plugins.forget()

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(build(), list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    yield run
    plugins.forget()


def test_a_graph(whyrec):
    assert "names the plug-in" in whyrec("new", "graph", "liking")
    assert "liking" in whyrec("run", "--list")
    assert "12 calls" in whyrec("estimate", "liking", "--data", WORLD, "--users", "12").replace(
        "12 examples, about ", ""
    )
    assert "12 done + 0 failed" in whyrec("run", "liking", "--data", WORLD, "--llm", "extractive", "--users", "12")
    assert "0 asked to repair" in whyrec("run", "liking", "--data", WORLD, "--llm", "extractive", "--users", "15")
    shown = whyrec("trace", "show", "latest:1")
    assert "liking/ask" in shown and 'keywords ["' in shown.split("as Liking")[1], "read as the plug-in's type"
    assert "Clean: nothing was found" in whyrec("audit", "latest")
    said = whyrec(
        "compare", "liking", "--data", WORLD, "--llm", "extractive", "--llm", "simulated:0.5", "--users", "9", "--yes"
    )
    assert "words" in said
    assert "say" in whyrec("debug", "liking", "--data", WORLD, "--user", "u0", "--llm", "extractive")
    assert "liking/ask" in whyrec("prompts", "ls")
    assert "likes" in whyrec("search", "garden tools", "--data", WORLD, "--in", "likes")


def test_nothing_heavy_is_loaded_to_write_two_files(tmp_path):
    code = "import sys; from whyrec.cli import build; build()(standalone_mode=False); print(sorted(sys.modules))"
    for kind, heavy in (("recommender", {"torch"}), ("provider", {"torch", "langgraph"}), ("table", {"torch"})):
        command = [sys.executable, "-c", code, "new", kind, f"my_{kind}"]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert not {name for name in heavy if f"'{name}'" in said}, kind
        (tmp_path / "whyrec.toml").unlink()  # what it names would be loaded


def test_a_graph_that_was_edited_makes_another_run(whyrec, tmp_path):
    whyrec("new", "graph", "liking")
    first = whyrec("run", "liking", "--data", WORLD, "--users", "4")
    file = tmp_path / "liking.py"
    file.write_text(file.read_text().replace('"user": state.example.user, ', '"user": state.example.user, "more": 1, '))
    second = whyrec("run", "liking", "--data", WORLD, "--users", "4")
    assert "4 answered" in first
    assert "4 from the cache" in second and "4 done" in second


def test_a_recommender(whyrec):
    whyrec("new", "recommender", "lately")
    assert "test: ndcg@10" in whyrec("fit", "lately", "--data", WORLD)
    assert "i" in whyrec("recommend", "lately", "u0", "-n", "2")
    said = whyrec(
        "eval", "cot_rec.table_1", "--data", WORLD, "-o", "recommender=lately", "--cells", "popularity;lately"
    )
    assert "lately seed 2021" in said
    with pytest.raises(Exception, match="no recommender named 'other'"):
        whyrec("eval", "cot_rec.table_1", "--data", WORLD, "-o", "recommender=other", "--cells", "popularity")


def test_a_table(whyrec):
    whyrec("new", "table", "mine")
    assert "mine.table_1" in whyrec("eval")
    assert "item-CF" in whyrec("eval", "mine.table_1", "--data", WORLD)


def test_a_provider(whyrec):
    whyrec("new", "provider", "ours")
    assert "ours:demo" in whyrec("llm", "ls")
    assert "3 done" in whyrec("run", "cot_rec.preference", "--data", WORLD, "--llm", "ours:demo", "--users", "3")


def test_a_reader(whyrec, tmp_path):
    whyrec("new", "reader", "barred")
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = [f"u{user}|i{(user * 3 + at) % 11}|{1_700_000_000 + at}|Item {at}" for user in range(9) for at in range(6)]
    (folder / "events.barred").write_text("\n".join(rows))
    assert "barred" in whyrec("data", "stats", str(folder))
    (folder / "events.barred").write_text("nonsense\n")
    with pytest.raises(Exception, match="line 1: USER"):
        whyrec("data", "stats", str(folder))


def test_what_is_written_passes_its_own_tests(whyrec, tmp_path):
    kinds = ("graph", "table", "recommender", "provider", "reader")
    for kind in kinds:
        whyrec("new", kind, f"my_{kind}")
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(test, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert f"{len(kinds) + 1} passed" in done.stdout


def test_names_files_and_settings_that_cannot_be(whyrec, tmp_path):
    for name, words in (("Taste", "is no name"), ("cot rec", "is no name"), ("../x", "is no name")):
        with pytest.raises(Exception, match=words):
            whyrec("new", "graph", name)
    with pytest.raises(Exception, match="named extractive already"):
        whyrec("new", "provider", "extractive")
    (tmp_path / "test_there.py").write_text("mine")
    with pytest.raises(Exception, match=r"test_there\.py is there already"):
        whyrec("new", "graph", "there")
    assert not (tmp_path / "there.py").exists()
    assert (tmp_path / "test_there.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'plugins = ["one.py"]\n'),
        ('llm = "echo"\n', 'plugins = ["one.py"]\nllm = "echo"\n'),
        ('llm = "echo"\nplugins = ["a.py"]\n', 'llm = "echo"\nplugins = ["one.py", "a.py"]\n'),
        ('plugins = [\n  "a.py",\n]\n', 'plugins = ["one.py", \n  "a.py",\n]\n'),
    ],
)
def test_the_settings_keep_what_they_say(whyrec, tmp_path, before, after):
    if before:
        (tmp_path / "whyrec.toml").write_text(before)
    (tmp_path / "a.py").write_text("")
    whyrec("new", "table", "one")
    assert (tmp_path / "whyrec.toml").read_text() == after
