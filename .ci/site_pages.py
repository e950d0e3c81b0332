"""Pages of the site that are made and not kept: a hook of MkDocs (mkdocs.yml), so that nothing is written twice.

The first page is README, the reference is what `whyrec.__all__` and the skeletons of `whyrec new` name, decisions and
notebooks are those that are there, and the graphs' drawings are SVG in place of Mermaid, whose script a browser would
have to fetch from elsewhere.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OURS = ("whyrec", "agents", "evals", "graphs", "prompts", "rec_models")
# Where a link of README or CONTRIBUTING leads that is no page of docs/.
PLACES = {
    "docs/results": "results.md",
    "docs/decisions": "decisions/index.md",
    "docs/notebooks": "notebooks/first_steps.ipynb",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
}
INDICES = ("results.md", "plumbing.md")  # pages of tables that lead to one per paper
FIRST_NOTEBOOKS = ("first_steps", "your_own_data", "change_a_prompt")
_MERMAID = re.compile(r"^```mermaid\n.*?^```\n", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)")


def made() -> dict[str, str]:
    """Page -> its Markdown, of those that are not in docs/."""
    return {
        "index.md": _from_root("README.md"),
        "contributing.md": _from_root("CONTRIBUTING.md"),
        "decisions/index.md": _decisions(),
        "reference/library.md": _library(),
        "reference/plugins.md": _for_plugins(),
    }


def navigation(declared: list[Any]) -> list[Any]:
    """The navigation of mkdocs.yml with the notebooks, the decisions and the papers' tables that there are."""
    more = {
        "Tutorial": [f"notebooks/{file.name}" for file in notebooks()],
        "Decisions": [f"decisions/{file.name}" for file in sorted((ROOT / "docs/decisions").glob("*.md"))],
    }
    return [
        {title: [*map(_with_papers, pages), *more.get(title, [])] if isinstance(pages, list) else pages}
        for entry in declared
        for title, pages in entry.items()
    ]


def _with_papers(entry: Any) -> Any:
    """An index of tables as a section: the index, then the pages of the papers, results_cot_rec.md of results.md."""
    if not isinstance(entry, dict):
        return entry
    ((title, page),) = entry.items()
    papers = sorted((ROOT / "docs").glob(f"{page.removesuffix('.md')}_*.md")) if page in INDICES else []
    return {title: [page, *(file.name for file in papers)]} if papers else entry


def notebooks() -> list[Path]:
    """The notebooks in reading order: the first steps first, those without a place last."""
    there = (ROOT / "docs/notebooks").glob("*.ipynb")
    place = {name: at for at, name in enumerate(FIRST_NOTEBOOKS)}
    return sorted(there, key=lambda file: (place.get(file.stem, len(place)), file.name))


def public() -> dict[str, str]:
    """Public name of the library -> its module, as `whyrec/__init__.py` hands it on."""
    tree = ast.parse((ROOT / "whyrec/__init__.py").read_text(encoding="utf-8"))
    return {name: module for name, module in _imported(tree) if module.startswith("whyrec.api")}


def arguments() -> dict[str, str]:
    """The keyword arguments that functions of the library share, each a TypedDict -> its module."""
    return {
        node.name: f"whyrec.api.{file.stem}"
        for file in sorted((ROOT / "whyrec/api").glob("*.py"))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id == "TypedDict" for b in node.bases)
    }


def for_plugins() -> list[str]:
    """What the files that `whyrec new` writes import from us: the public names of plug-ins, with their modules."""
    files = sorted((ROOT / "whyrec/cli/guests/new/skeletons").glob("*.py"))
    found = {
        f"{module}.{name}"
        for file in files
        for name, module in _imported(ast.parse(file.read_text(encoding="utf-8")))
        if module.split(".")[0] in OURS and not _is_module(f"{module}.{name}")
    }
    return sorted(found)


def on_config(config: Any) -> Any:
    """MkDocs asks: the settings. SITE_NOTEBOOKS=run fills notebooks with what they print, in some minutes."""
    config.nav = navigation(config.nav)
    config.plugins["mkdocs-jupyter"].config["execute"] = os.environ.get("SITE_NOTEBOOKS") == "run"
    return config


def on_files(files: Any, config: Any) -> Any:
    """MkDocs asks: the files."""
    from mkdocs.structure.files import File

    for name, text in made().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """MkDocs asks: the Markdown of a page."""
    if page.file.src_uri == "graphs.md":
        markdown = drawn(markdown)
    return "\n".join(_bars(line) if line.startswith("|") else line for line in markdown.split("\n"))


def drawn(markdown: str) -> str:
    """Each Mermaid block as an SVG of the graph whose heading stands above it."""
    name = ""
    parts = re.split(r"(?m)^(?=## )", markdown)
    for at, part in enumerate(parts):
        heading = re.match(r"## (\S+)\n", part)
        if heading and (name := heading[1]):
            parts[at] = _MERMAID.sub(lambda _: f"{_svg(name)}\n\n", part)
    return "".join(parts)


def _svg(name: str) -> str:
    """A graph as notebooks draw it."""
    from graphs.engine.drawing import of_workflow
    from whyrec.api.drawn import svg

    return f'<div class="drawing">{svg(of_workflow(name), name)}</div>'


def _bars(row: str) -> str:
    """A table's row without the backslash before a bar in code, which GitHub needs and MkDocs would show."""
    return _CODE.sub(lambda code: code[0].replace("\\|", "|"), row)


def _from_root(name: str) -> str:
    """A page that stands beside docs/, with links as they are from inside."""

    def there(link: re.Match[str]) -> str:
        target, mark = link[1], link[2] or ""
        return f"]({PLACES.get(target, target.removeprefix('docs/'))}{mark})"

    return re.sub(r"\]\(([\w./-]+)(#[\w-]+)?\)", there, (ROOT / name).read_text(encoding="utf-8"))


def _decisions() -> str:
    rows = []
    for file in sorted((ROOT / "docs/decisions").glob("*.md")):
        title = file.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")
        rows.append(f"- [{title}]({file.name})")
    head = "# Decisions\n\nWhat was decided where there was a choice, why, and what was measured.\n\n"
    return head + "\n".join(rows) + "\n"


def _library() -> str:
    head = (
        "# Reference: `import whyrec`\n\n"
        "Every public name of the library, by its docstring. [From Python](../library.md) shows them at work.\n"
    )
    functions = {name: module for name, module in public().items() if name[0].islower()}
    classes = {name: module for name, module in public().items() if name not in functions}
    return "\n".join(
        [
            head,
            "## Functions\n",
            *_named(functions),
            "## What they take and give\n",
            *_named({**arguments(), **classes}),
        ]
    )


def _for_plugins() -> str:
    head = (
        "# Reference: for plug-ins\n\n"
        "What the files of `whyrec new` import. [Your own graphs, tables and more](../plugins.md) shows them at work.\n"
    )
    modules: dict[str, list[str]] = {}
    for path in for_plugins():
        module, _, name = path.rpartition(".")
        modules.setdefault(module, []).append(name)
    return "\n".join(
        [head, *(line for module, names in modules.items()
                 for line in (f"## `{module}`\n", *_named(dict.fromkeys(names, module))))]
    )  # fmt: skip


def _named(names: Mapping[str, str]) -> Iterator[str]:
    for name, module in names.items():
        yield f"::: {module}.{name}\n"


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Name and module of everything that a file imports by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.name, node.module) for alias in node.names)


def _is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()
