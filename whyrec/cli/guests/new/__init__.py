"""`whyrec new`: a working graph, table, recommender, provider or reader of one's own, to edit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import typer

from whyrec.errors import UsageError

app = typer.Typer(help="Begin something of your own: a file that works, and its test.", no_args_is_help=True)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_STAND_IN = "taste"
_SETTINGS = Path("whyrec.toml")
_PLUGINS = re.compile(r"^(\s*plugins\s*=\s*\[)", re.MULTILINE)
_NEXT = {
    "graph": "whyrec run {name} --data world --llm extractive --users 20",
    "table": "whyrec eval {name}.table_1 --data world",
    "recommender": "whyrec fit {name} --data world",
    "provider": "whyrec run cot_rec.preference --data world --llm {name}:demo --users 3",
    "reader": "whyrec data stats FOLDER   (one with a file events.{name} in it)",
}
NAME = typer.Argument(help="Its name: small letters, digits and underscores.", metavar="NAME")


@app.command()
def graph(name: str = NAME) -> None:
    """A reasoning graph with its prompt, answer type, audit rules and outcomes."""
    _write("graph", name)


@app.command()
def table(name: str = NAME) -> None:
    """A table of results: cells, metrics and a claim that is tested."""
    _write("table", name)


@app.command()
def recommender(name: str = NAME) -> None:
    """A recommender for `whyrec fit` and for a row in cot_rec.table_1."""
    _write("recommender", name)


@app.command()
def provider(name: str = NAME) -> None:
    """A kind of language model, named NAME:MODEL."""
    _write("provider", name)


@app.command()
def reader(name: str = NAME) -> None:
    """A reader for a file format."""
    _write("reader", name)


def _write(kind: str, name: str) -> None:
    """Write both files, and name the plug-in in whyrec.toml.

    Raises:
        UsageError: the name is none, a file is there already, or the folder cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name[:60]!r} is no name: a small letter, then small letters, digits and underscores.")
    files = {Path(f"{name}.py"): f"{kind}.py", Path(f"test_{name}.py"): f"test_{kind}.py"}
    if there := [str(path) for path in files if path.exists()]:
        raise UsageError(f"{there[0]} is there already and is left as it is. Take another name, or move it away.")
    _refuse_taken(kind, name)
    settings = _with_plugin(f"{name}.py")
    folder = resources.files("whyrec.cli.guests.new.skeletons")
    try:
        for path, skeleton in files.items():
            text = (folder / skeleton).read_text(encoding="utf-8")
            path.write_text(_named(text, name), encoding="utf-8")
        _SETTINGS.write_text(settings, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be written ({error.strerror}). Go to a folder of your own."
        ) from None
    typer.echo(f"Wrote {' and '.join(map(str, files))}; {_SETTINGS} names the plug-in. Now:")
    typer.echo(f"  {_NEXT[kind].format(name=name)}")
    missing = "" if find_spec("pytest") else "   (after: pip install pytest)"
    typer.echo(f"  python -m pytest test_{name}.py{missing}")


def _refuse_taken(kind: str, name: str) -> None:
    """Refuse what the house has: a plug-in of that name would never be found."""
    # only what this kind needs, so that two files are written at once
    taken: Iterable[str] = ()
    if kind == "graph":
        from graphs.workflow import names as graphs

        taken = graphs()
    elif kind == "recommender":
        from whyrec.api.kinds import KINDS

        taken = (*KINDS, *KINDS.values())
    elif kind == "provider":
        from whyrec.llm.registry import openers

        taken = openers()
    elif kind == "reader":
        from whyrec.data.readers import formats

        taken = formats()
    if name in taken:
        raise UsageError(f"There is a {kind} named {name} already. Take another name.")


def _named(text: str, name: str) -> str:
    """A skeleton with the name in place of the stand-in, also where it begins a class's name."""
    words = "".join(part.capitalize() for part in name.split("_"))
    text = re.sub(rf"\bclass {_STAND_IN.capitalize()}\b", f"class {words}", text)
    text = re.sub(rf"\b{_STAND_IN.capitalize()}\(", f"{words}(", text)
    return re.sub(rf"(?<![a-z]){_STAND_IN}(?![a-z])", name, text)


def _with_plugin(file: str) -> str:
    """The text of whyrec.toml with one more plug-in in it.

    Raises:
        UsageError: it is no TOML, or lists its plug-ins in a way that cannot be added to.
    """
    from whyrec.settings import read_settings

    if not _SETTINGS.is_file():
        return f'plugins = ["{file}"]\n'
    known, text = read_settings().plugins, _SETTINGS.read_text(encoding="utf-8-sig")
    if file in known:
        return text
    if _PLUGINS.search(text):
        return _PLUGINS.sub(rf'\1"{file}", ', text, count=1)
    if re.search(r"^\s*plugins\s*=", text, re.MULTILINE):
        raise UsageError(
            f'Add "{file}" to the plugins of {_SETTINGS.absolute()} by hand: they are no list in brackets.'
        )
    return f'plugins = ["{file}"]\n{text}'
