"""The site: every page stands in its navigation, links lead somewhere, and it is built from what is here."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

import whyrec
from whyrec.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[\w-]+)?\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(
    r"\bspec\b|\bissues? #?\d+|\b(?:later|earlier|this|that) issue\b|design\.md|\.\./shared|\breviewers?\b",
    re.IGNORECASE,
)
_FOR_DEVELOPERS = {"acceptance.md"}


def _hook() -> ModuleType:
    """The hook as MkDocs loads it; it needs no MkDocs for what is asked here."""
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / ".ci/site_pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["site_pages"] = module
    spec.loader.exec_module(module)
    return module


HOOK = _hook()


def _declared() -> Any:
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def _leaves(navigation: Any) -> Iterator[str]:
    for entry in navigation:
        if isinstance(entry, str):
            yield entry
        else:
            for pages in entry.values():
                yield from [pages] if isinstance(pages, str) else _leaves(pages)


def _pages() -> dict[str, str]:
    """Every page of the site with its Markdown; a notebook without a look inside."""
    left_out = tuple(one.lstrip("/").split("*")[0] for one in _declared()["exclude_docs"].split())
    kept = {
        file.relative_to(DOCS).as_posix(): file.read_text() if file.suffix == ".md" else ""
        for file in sorted(DOCS.rglob("*"))
        if file.suffix in {".md", ".ipynb"} and ".ipynb_checkpoints" not in file.parts
        if not file.relative_to(DOCS).as_posix().startswith(left_out)
    }
    return {**kept, **HOOK.made()}


def test_every_page_stands_in_the_navigation_once() -> None:
    shown = list(_leaves(HOOK.navigation(_declared()["nav"])))
    assert len(shown) == len(set(shown)), "a page stands twice"
    assert set(shown) == set(_pages()), "pages without a place, or places without a page"


def test_the_order_is_the_readers() -> None:
    titles = [next(iter(entry)) for entry in _declared()["nav"]]
    assert titles[:3] == ["Start", "Tutorial", "Your data"]
    assert titles[-1] == "Decisions"


def test_links_between_pages_lead_somewhere() -> None:
    there = _pages()
    wrong = []
    for name, text in there.items():
        for target in _LINK.findall(_FENCE.sub("", text)):
            if re.match(r"[a-z]+:", target):
                continue
            path = os.path.normpath(Path(name).parent / unquote(target))
            if path not in there and not (DOCS / path).is_file():
                wrong.append(f"{name}: {target}")
    assert not wrong, "\n".join(wrong)


def test_the_first_page_is_the_readme_with_links_from_inside() -> None:
    first = HOOK.made()["index.md"]
    assert "](docs/" not in first
    assert "](providers.md)" in first
    assert first.splitlines()[0] == (ROOT / "README.md").read_text().splitlines()[0]


def test_the_reference_has_every_public_name() -> None:
    page = HOOK.made()["reference/library.md"]
    assert set(HOOK.public()) == set(whyrec.__all__) - {"__version__"}
    assert all(re.search(rf"^::: whyrec\.api\.\w+\.{name}$", page, re.MULTILINE) for name in HOOK.public())
    assert "RunOptions" in page and "Columns" in page, "what they take by name"
    assert "graphs.workflow.Workflow" in HOOK.for_plugins(), "what a plug-in declares"


@pytest.mark.parametrize("name", sorted(p.relative_to(ROOT).as_posix() for p in DOCS.rglob("*.md")))
def test_pages_cite_nothing_that_readers_do_not_have(name: str) -> None:
    if Path(name).name in _FOR_DEVELOPERS:
        pytest.skip("a record for developers")
    assert not [line for line in (ROOT / name).read_text().splitlines() if _ELSEWHERE.search(line)]


@pytest.mark.parametrize(
    "file", sorted(ROOT.glob("prompts/*/*.md")), ids=lambda file: f"{file.parent.name}/{file.stem}"
)
def test_prompts_cite_papers_and_nothing_else(file: Path) -> None:
    """Their descriptions stand on the page, in `whyrec prompts ls` and in Python."""
    assert not [line for line in file.read_text().splitlines() if _ELSEWHERE.search(line)]


@pytest.mark.parametrize(
    "path", sorted([*HOOK.for_plugins(), *(f"{module}.{name}" for name, module in HOOK.public().items())])
)
def test_the_reference_cites_nothing_that_readers_do_not_have(path: str) -> None:
    module, _, name = path.rpartition(".")
    there = getattr(importlib.import_module(module), name)
    own = vars(there).values() if isinstance(there, type) else ()
    told = [there, *(one for one in own if inspect.isfunction(one) or isinstance(one, property))]
    assert not [doc for one in told if (doc := inspect.getdoc(one)) and _ELSEWHERE.search(doc)]


def test_a_graph_is_an_svg_in_place_of_mermaid() -> None:
    page = HOOK.drawn((DOCS / "graphs.md").read_text())
    assert "```mermaid" not in page
    assert page.count("<svg ") == (DOCS / "graphs.md").read_text().count("```mermaid") > 10
    part = page.split("## cot_rec.describe\n")[1].split("\n## ")[0]
    assert ">describe</text>" in part and part.count("marker-end") == 2


def test_a_bar_in_code_in_a_table_has_no_backslash() -> None:
    page = type("Page", (), {"file": type("File", (), {"src_uri": "x.md"})})
    assert HOOK.on_page_markdown("| `a\\|b` | c \\| d |\n`e\\|f`", page=page) == "| `a|b` | c \\| d |\n`e\\|f`"


def test_what_make_sets_for_the_notebooks_is_no_setting_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebooks run whyrec, which refuses a WHYREC_ variable that it does not know."""
    (line,) = re.findall(r"^\t.*WHYREC_HOME.*\\\n.*mkdocs build.*$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    variables = re.findall(r"\b([A-Z][A-Z0-9_]+)=", line)
    assert {"WHYREC_HOME", "SITE_NOTEBOOKS"} <= set(variables)
    for name in variables:
        monkeypatch.setenv(name, "run" if "NOTEBOOKS" in name else "1")
    read_settings()
    config = SimpleNamespace(nav=[], plugins={"mkdocs-jupyter": SimpleNamespace(config={})})
    assert HOOK.on_config(config).plugins["mkdocs-jupyter"].config["execute"] is True


@pytest.mark.slow
def test_the_site_is_built_and_asks_nobody(tmp_path: Path) -> None:
    if not importlib.util.find_spec("mkdocs"):
        pytest.skip("MkDocs is not installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {
        **os.environ,
        "NO_MKDOCS_2_WARNING": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {
        file.relative_to(tmp_path / "site").as_posix(): file.read_text() for file in (tmp_path / "site").rglob("*.html")
    }
    assert "Turn a history into reasons" in pages["index.html"]
    assert "load_data" in pages["reference/library.html"] and "Raises" in pages["reference/library.html"]
    fetched = re.compile(
        r"<(?:script|img|iframe)[^>]*\ssrc=\"?https?:|<link[^>]*rel=\"?(?:stylesheet|preconnect|preload)[^>]*href=\"?https?:"
    )
    assert not {name for name, text in pages.items() if fetched.search(text) or 'class="mermaid"' in text}
