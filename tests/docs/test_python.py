"""The Python of README and docs runs as it is printed.

A block under which `<!-- not run: why -->` stands is left out. Files that any page shows lie in the folder of the test.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(\n<!-- not run)?", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'^```\w+ title="([\w.-]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)
PAGES = ["README.md", *(page.relative_to(ROOT).as_posix() for page in sorted((ROOT / "docs").glob("*.md")))]


def blocks(page: str) -> list[str]:
    return [code for code, not_run in _BLOCK.findall((ROOT / page).read_text()) if not not_run]


def test_there_is_python_to_run() -> None:
    assert {"README.md", "docs/library.md"} <= {page for page in PAGES if blocks(page)}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_what_is_printed_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name, text in _FILE.findall("\n".join((ROOT / one).read_text() for one in PAGES)):
        (tmp_path / name).write_text(text)
    names = {"__name__": page}  # a page is read from its beginning: what one block makes, the next ones use
    for code in blocks(page):
        exec(compile(code, page, "exec"), names)
