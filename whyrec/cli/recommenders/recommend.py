"""`whyrec recommend MODEL USER`: the next items, by a recommender that `whyrec fit` trained."""

from __future__ import annotations

import typer

from whyrec.errors import UsageError


def command(
    model: str = typer.Argument(help="Its name or an unmistakable beginning of it; `whyrec fit` lists them."),
    user: str = typer.Argument("", help="A user's id; all that is known of this user is read."),
    history: str = typer.Option("", "--history", help="Item ids in place of a user, oldest first, commas between."),
    n: int = typer.Option(10, "-n", min=1, help="How many."),
    seen: bool = typer.Option(False, "--seen", help="Items of the history may come again."),
    json: bool = typer.Option(False, "--json", help="Print JSON: id, title and score of each."),
) -> None:
    """Say which items to show next. Exit codes: 0; 2 usage or environment."""
    if bool(user) == bool(history):
        raise UsageError("whyrec recommend takes a user's id or --history ID,ID,…, one of the two.")
    import json as written

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from whyrec.api.models import open_model

    wanted = user or [one.strip() for one in history.split(",") if one.strip()]
    found = open_model(model).recommend(wanted, n, seen=seen)
    if json:
        rows = [{"id": one.item.id, "title": one.item.title, "score": one.score} for one in found]
        typer.echo(written.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = Table("", "item", "title", "score", box=None)
    for place, one in enumerate(found, 1):
        table.add_row(str(place), Text(one.item.id), Text(one.item.title), f"{one.score:.3f}")
    Console(highlight=False).print(table)
