"""`whyrec data`: which data sets are here, what they are like, and where public ones come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Data sets: list them, describe them, download them.", no_args_is_help=True)


@app.command("ls")
def list_(json_: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the data sets in the data folders ($WHYREC_DATA and the download folder); looks at file names only."""
    import json

    from rich.console import Console
    from rich.table import Table

    from whyrec.data.address import named
    from whyrec.data.lookup import places
    from whyrec.settings import read_settings

    settings = read_settings()
    found = places(settings)
    sizes = [sum(f.stat().st_size for f in place.path.rglob("*") if f.is_file()) for place in found]
    if json_:
        rows = [
            {"name": p.name, "format": p.reader.name, "bytes": size, "folder": str(p.path)}
            for p, size in zip(found, sizes, strict=True)
        ]
        rows += [{"name": name, "address": at} for name, at in named.read(settings.home).items()]
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("name", min_width=max((len(p.name) for p in found), default=5))
    for header in ("format", "size", "folder"):
        table.add_column(header, overflow="fold")
    for place, size in zip(found, sizes, strict=True):
        table.add_row(place.name, place.reader.name, f"{size / 1e6:,.1f} MB", str(place.path.parent))
    for name, at in named.read(settings.home).items():
        table.add_row(name, "a given name", "", at)
    table.add_row("world", "generated", "", "also world:easy, world:hard, world:users=2000,seed=1")
    table.add_row("facts", "generated", "", "questions; also facts:questions=500,seed=1")
    console = Console(soft_wrap=True)
    console.print(table)
    searched = ", ".join(
        str(f) + ("" if f.is_dir() else " (a file, no folder)" if f.exists() else " (not there)")
        for f in settings.data_folders
    )
    console.print(f"\nSearched: {searched}. `whyrec data get` lists what can be downloaded.", style="dim")


@app.command()
def stats(
    name: str = typer.Argument(help="A data set: a name of `whyrec data ls`, a path, or world; 'name?dedup&kcore=5'."),
    json_: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Users, items, lengths, time and its ties, text, ratings, reviews, and what loading dropped; or of questions."""
    import json

    from rich.console import Console

    from whyrec.cli.shared.data import warn
    from whyrec.data import Questions, open_data, questions
    from whyrec.data import stats as interactions

    data = open_data(name).data
    warn(data)
    found = questions.describe(data) if isinstance(data, Questions) else interactions.describe(data)
    if json_:
        typer.echo(json.dumps(found, indent=1))
        return
    Console(soft_wrap=True).print(_table(found))


@app.command()
def add(
    name: str = typer.Argument(help="What the data shall be called."),
    interactions: str = typer.Option(..., "--interactions", help="The file or folder; options after '?' are allowed."),
    items: str = typer.Option("", "--items", help="A file of the items: CSV, Parquet or JSON lines."),
    user: str = typer.Option("", help="The column of users."),
    item: str = typer.Option("", help="The column of items."),
    column: list[str] = typer.Option(
        [], "--column", help="OURS=THEIRS: time, rating, review, title, description, brand, categories, items_id, …"
    ),
) -> None:
    """Give data of your own a name that every command takes, in every folder.

    Exit codes: 0; 2 the data cannot be read, or the name cannot be one.
    """
    from whyrec.cli.shared.data import warn
    from whyrec.cli.shared.typed import pairs
    from whyrec.data import add as give
    from whyrec.data import address
    from whyrec.errors import UsageError

    base, told = address.split(interactions)
    named = {"items": items, "user": user, "item": item, **pairs(column, "--column", "time=when")}
    if twice := sorted(told.keys() & {key for key, value in named.items() if value}):
        raise UsageError(f"{twice[0]} is given twice, after the '?' and as an option.")
    found = give(name, address.written(base, told | {key: value for key, value in named.items() if value})).data
    warn(found)
    typer.echo(f"{name}: {found.source}\nTry: whyrec data stats {name}")


@app.command()
def forget(name: str = typer.Argument(help="A name that `whyrec data add` gave.")) -> None:
    """Take a given name away; the data stay where they are."""
    from whyrec.data import forget as take

    take(name)
    typer.echo(f"{name} is no name any more; the files are as they were.")


@app.command()
def get(
    name: str = typer.Argument("", help="A public data set; without a name, lists them."),
    again: bool = typer.Option(False, "--again", help="Download even if it is there."),
) -> None:
    """Download a public data set from where its makers publish it, and check it."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from whyrec.data.download import datasets
    from whyrec.data.download.catalogue import SOURCES
    from whyrec.settings import read_settings

    console = Console(soft_wrap=True)
    if not name:
        for source in SOURCES.values():
            console.print(source.name if source.files else f"{source.name} (by hand; `whyrec data get` says how)")
        return
    wanted = datasets.source(name)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)

        def say(sentence: str) -> None:
            console.print(sentence, markup=False, highlight=False)

        def progress(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        datasets.get(wanted, settings=read_settings(), say=say, progress=progress, again=again)


def _table(found: dict[str, Any]) -> Table:
    """The statistics as a table of two columns, nested names joined."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in found.items():
        inner = value if isinstance(value, dict) else {"": value}
        for sub, number in inner.items():
            table.add_row(f"{key}: {sub}" if sub else key, Text(_shown(key, sub, number)))
    return table


def _shown(key: str, sub: str, value: Any) -> str:
    """A share as per cent, a count with thousands, the rest as it is."""
    share = (
        key in ("text", "reviews") or sub in ("coverage", "test targets") or sub.startswith(("share", "tied", "cold"))
    )
    if isinstance(value, float):
        return f"{value:.2%}" if share else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
