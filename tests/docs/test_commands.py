"""Every command that README and docs print is run, and every command that they name in passing exists.

A block under which `<!-- not run: why -->` stands is left out. What stands for something else is filled in: MODEL is
`simulated:0.9`, a downloaded data set is a small generated world, PREFERENCE_RUN the last run of that workflow here,
OTHER the last run but one. What a command prints goes into the file behind its `>`.
Files that a page shows (a block with `title="clicks.csv"`) lie in the folder where its commands run. A block of `text`
right after one of commands is what they print: each of its lines must be there, `…` standing for anything.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.runs import list_runs
from whyrec.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WRITTEN = {
    *("evidence.md", "plumbing.md", "results.md", "dial.md", "mechanisms.md", "acceptance.md", "fails_before.md"),
    *(page.name for page in PAGES if page.name.startswith(("results_", "plumbing_"))),
}
MOST_NOT_RUN = 10
WORLD, FEW = "world:users=40,items=80", "world:users=20,items=60"
_BLOCK = re.compile(r"^```(?:console|bash|sh)\n(.*?)^```\n(\n?<!-- not run: [^>]+-->)?", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"^```console\n(?:\$ [^\n]*\n)+```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'^```\w+ title="([\w.-]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)
_MENTION = re.compile(r"`(whyrec [a-z][^`\n]*)`")
_ELSEWHERE = ("make ", "pip ", ". ", "cd ", "git ")  # what is no command of ours


def _of_page(page: Path) -> tuple[list[str], int]:
    """The commands of a page's blocks, and how many blocks are not to be run."""
    found, left = [], 0
    for text, not_run in _BLOCK.findall(page.read_text()):
        lines = [line.removeprefix("$ ").split("  #")[0].strip() for line in text.replace("\\\n", " ").splitlines()]
        ours = [line for line in lines if line.startswith(("whyrec ", "sed -i "))]
        left += bool(not_run)
        found += [] if not_run else ours
        strange = [line for line in lines if line and line not in ours and not line.startswith(_ELSEWHERE)]
        if text.startswith("$ ") and not not_run:
            assert not [line for line in strange if f"$ {line}" in text], f"{page.name} runs what is not whyrec's"
    return found, left


def _filled(command: str) -> list[str]:
    """Its arguments with everything filled in that stands for something else, and smaller than printed."""
    command = re.sub(r"\b(MODEL|TEACHER)\b", "simulated:0.9", command)
    few = re.search(r"--users 1?\d\b|--users 20\b|debug .*--user\b", command)  # cheap as it is printed
    named = "amazon14_beauty|ml-1m" if few else "amazon14_beauty|ml-1m|world"
    command = re.sub(rf"--data ({named})\b(?!:)", f"--data {WORLD}", command)
    command = command.replace('"hand care"', '"camping tent"')  # words of the world's catalogue
    command = re.sub(r"--users \d{3,}", "--users 12", command)
    command = re.sub(r"(--data|stats) hotpotqa\b", r"\1 facts:questions=30", command)
    command = re.sub(r"\bOTHER\b", lambda _: list_runs(read_settings().home)[1].id, command)
    arguments = [
        re.sub(r"\b([A-Z]+)_RUN\b", lambda found: _last(found[1].lower()), one) for one in shlex.split(command)
    ]
    if arguments[1] == "eval":
        arguments = [FEW if one == WORLD else one for one in arguments]
        arguments += ["--epochs", "1", "--users", "4", "--seeds", "1", "--yes"]
    elif arguments[1] == "run":
        whole = ".describe" in arguments[2] or "split=valid" in arguments  # other commands need all of them
        arguments += [] if whole or "--users" in arguments else ["--users", "12"]
    return arguments[1:]


def _last(workflow: str) -> str:
    """The name of the last run of a workflow by the second half of its name."""
    runs = [run for run in list_runs(read_settings().home) if run.graph.endswith(f".{workflow}")]
    assert runs, f"no run of {workflow} was made before it is named"
    return runs[0].id


@pytest.mark.parametrize("page", [page.name for page in PAGES if page.name not in WRITTEN and _of_page(page)[0]])
def test_what_a_page_prints_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = next(one for one in PAGES if one.name == page)
    for name, text in _FILE.findall(whole.read_text()):
        (tmp_path / name).write_text(text)
    (tmp_path / "FILE.gguf").touch()
    printed = ""
    for line in _of_page(whole)[0]:
        command, _, into = line.partition(" > ")
        if command.startswith("sed "):
            subprocess.run(shlex.split(command), cwd=tmp_path, check=True)
            continue
        result = CliRunner().invoke(build(), _filled(command))
        said = f"{result.output}{result.exception or ''}"
        assert result.exit_code == 0, f"{page}: {command}\n{said}"
        if into:
            (tmp_path / into).write_text(result.output)
        printed += f" {' '.join(said.split())} "
    shown = [line for text in _SHOWN.findall(whole.read_text()) for line in text.splitlines()]
    patterns = {line: r".*".join(map(re.escape, " ".join(line.split()).split("…"))) for line in shown}
    missing = [line for line, pattern in patterns.items() if not re.search(pattern, printed)]
    assert not missing, f"{page} shows what is not printed: {missing}"


@pytest.mark.parametrize("page", [page.name for page in PAGES if page.name not in WRITTEN])
def test_no_command_hides_in_a_block_without_a_language(page: str) -> None:
    """Such a block would never be run."""
    fence, hidden = "", []
    for line in next(one for one in PAGES if one.name == page).read_text().splitlines():
        if line.startswith("```"):
            fence = "" if fence else line
        elif fence in ("```", "```text") and line.removeprefix("$ ").startswith("whyrec "):
            hidden.append(line)
    assert not hidden


def test_few_blocks_are_not_run() -> None:
    assert sum(_of_page(page)[1] for page in PAGES if page.name not in WRITTEN) < MOST_NOT_RUN


def _mentions() -> list[tuple[str, str]]:
    return [
        (page.name, text) for page in PAGES if page.name not in WRITTEN for text in _MENTION.findall(page.read_text())
    ]


def test_every_command_named_in_passing_exists_with_its_options() -> None:
    root = typer.main.get_command(build())
    wrong = [f"{page}: {text}: {fault}" for page, text in _mentions() for fault in _faults(root, text)]
    assert not wrong, "\n".join(wrong)
    assert len(_mentions()) > 50


def _faults(root: Any, text: str) -> list[str]:
    """What of a command line is not there: nouns, verbs and options; values are not looked at."""
    here, words = root, re.sub(r"[\[\]…|]", " ", text).split()[1:]
    while words and hasattr(here, "commands"):
        if not re.fullmatch(r"[a-z-]+", words[0]):
            return []  # a noun alone, as in `whyrec trace ...`
        if words[0] not in here.commands:
            return [f"there is no {words[0]!r}"]
        here, words = here.commands[words[0]], words[1:]
    known = {name for one in here.params for name in (*one.opts, *one.secondary_opts)} | {"--help", "--version"}
    named = [word.split("=")[0].rstrip(",.;:)") for word in words if re.match(r"--?[a-z]", word)]
    return [f"there is no {name}" for name in named if name not in known]
