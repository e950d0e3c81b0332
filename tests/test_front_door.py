"""The first minute: --help, a typo, a wrong path, somebody else's package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def whyrec(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whyrec", *arguments],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}",
            "COLUMNS": "200",
            "NO_COLOR": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence on stderr; fails on a traceback or a wrong exit code."""
    assert done.returncode == 2, done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.startswith("whyrec: ")
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def loaded_by(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """What a command prints, and the modules that it imported."""
    code = (
        f"import sys, json; sys.argv = ['whyrec', *{arguments!r}]\n"
        "from whyrec.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code\n"
        "print('MODULES ' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120", **environment},
        check=True,
    )
    shown, _, modules = done.stdout.partition("MODULES ")
    return shown, set(json.loads(modules))


def test_help_names_every_noun_and_loads_nothing_heavy() -> None:
    shown, modules = loaded_by("--help")
    for noun in ("data", "llm", "prompts", "run", "runs", "eval", "search", "demo"):
        assert f" {noun} " in shown
    heavy = {"torch", "langgraph", "chromadb", "polars", "sklearn", "langchain", "pydantic", "numpy", "aiohttp"}
    assert not {m.partition(".")[0] for m in modules} & heavy


def test_a_list_of_calls_loads_what_it_needs(tmp_path: Path) -> None:
    ran = whyrec("run", "cot_rec.preference", "--data", "world:users=40", "--users", "2", WHYREC_HOME=str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    shown, modules = loaded_by("trace", "ls", "latest", WHYREC_HOME=str(tmp_path))
    assert "cot_rec.preference" in shown
    heavy = {
        "asyncio",
        "tenacity",
        "filelock",
        "pydantic_settings",
        "langgraph",
        "polars",
        "numpy",
        "aiohttp",
        "jinja2",
    }
    assert not modules & heavy
    assert not {m for m in modules if m.startswith("whyrec.cli.")} - {"whyrec.cli.trace", "whyrec.cli.trace_text"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "stats", "amazon14_beuty"], ["amazon14_beuty", "world"]),
        (["run", "cot_rec.preferense", "--data", "world"], ["cot_rec.preferense", "cot_rec.preference"]),
        (["run", "cot_rec.preference", "--data", "world", "--llm", "opnai:x"], ["opnai", "openai"]),
        (["prompts", "show", "cot_rec/sumarise_batch"], ["cot_rec/summarise_batch"]),
        (["eval", "cot_rec.tabel_1", "--data", "world"], ["cot_rec.table_1"]),
        (["run", "cot_rec.preference", "--data", "world", "--llm", "openai:gpt-4o-mini"], ["OPENAI_API_KEY"]),
        (["search", "socks", "--data", "world", "--embedder", "lsi"], ["lsi", "lsa"]),
    ],
    ids=lambda v: " ".join(v[:2]) if isinstance(v, list) else str(v),
)
def test_a_typo_gets_one_sentence_that_names_the_known(arguments: list[str], words: list[str]) -> None:
    sentence = complaint(whyrec(*arguments))
    for word in words:
        assert word in sentence


def test_a_dead_server_is_found_before_the_first_example() -> None:
    done = whyrec(
        "run", "cot_rec.preference", "--data", "world", "--users", "3", "--llm", "openai:m@http://127.0.0.1:9/v1"
    )
    assert "127.0.0.1:9" in complaint(done)


def test_a_wrong_setting_names_the_variable() -> None:
    assert "WHYREC_CONCURRENCY" in complaint(whyrec("data", "ls", WHYREC_CONCURRENCY="many"))


def test_a_file_where_the_home_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")
    done = whyrec("run", "cot_rec.preference", "--data", "world", "--users", "3", WHYREC_HOME=str(tmp_path / "home"))
    assert "home" in complaint(done)


def test_a_foreign_agents_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text('"""Another project."""\n')
    sentence = complaint(whyrec("--help", cwd=tmp_path))
    assert "agents" in sentence
    assert str(tmp_path) in sentence
    assert "virtual environment" in sentence


def test_what_the_machine_refuses_is_said_with_what_to_do(tmp_path):
    from whyrec.__main__ import printable, refused

    said = refused(FileNotFoundError(2, "No such file or directory", "/nowhere/x"))
    assert said.startswith("/nowhere/x: No such file") and "WHYREC_HOME" in said
    assert refused(OSError("no name")) == "no name"
    assert printable("a\x1b[31mb\n\u00e9") == "a\N{REPLACEMENT CHARACTER}[31mb\n\u00e9"
    search = whyrec("search", "boots", "--data", "world:users=30,items=80", WHYREC_HOME="/proc/x")
    assert "WHYREC_HOME" in complaint(search)


def test_questions_without_a_terminal_are_said_not_aborted(tmp_path):
    assert "nobody at a terminal" in complaint(whyrec("mechanism", "all", WHYREC_HOME=str(tmp_path)))
    assert "nobody at a terminal" in complaint(whyrec("dial", "all", WHYREC_HOME=str(tmp_path)))


def test_a_page_is_not_emptied_and_a_broken_table_is_named(tmp_path):
    page, tables = tmp_path / "results.md", tmp_path / "results"
    page.write_text("kept")
    assert "There is no folder" in complaint(whyrec("eval", "--render", "--results", str(tmp_path / "result")))
    assert page.read_text() == "kept"
    tables.mkdir()
    (tables / "cot_rec.table_1.world.json").write_text("{broken")
    assert "not a whole Results" in complaint(whyrec("eval", "--render", "--results", str(tables)))


def test_an_embedder_nobody_knows_costs_nothing(tmp_path):
    wrong = ["eval", "cot_rec.table_1", "--data", "world:users=60", "--results", str(tmp_path / "r"), "--embedder"]
    assert "no embedder named 'lsi'" in complaint(whyrec(*wrong, "lsi", WHYREC_HOME=str(tmp_path)))
    assert "not a whole number" in complaint(whyrec(*wrong, "lsa:0", WHYREC_HOME=str(tmp_path)))
    assert not (tmp_path / "runs").exists()
