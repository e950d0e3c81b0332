"""`whyrec search TEXT`: the nearest items and users of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from whyrec.errors import UsageError

if TYPE_CHECKING:
    from whyrec.data import Corpus
    from whyrec.runs import RunReader
    from whyrec.settings import Settings

KINDS = ("items", "users", "both")


def command(
    text: str = typer.Argument(help="What to look for, in words."),
    data: str = typer.Option(..., "--data", help="The data set."),
    embedder: str = typer.Option("lsa", help="lsa[:WIDTH], hf:FOLDER, openai:MODEL[@URL] or hashed."),
    k: int = typer.Option(10, "-k", min=1, max=1000, help="How many of each."),
    kind: str = typer.Option("both", help="items, users or both."),
    run: str = typer.Option("", help="A finished cot_rec.preference run: users are searched by its preferences."),
    store: str = typer.Option("", help="A folder or a Chroma server's URL; default: $WHYREC_HOME/vectors."),
    json_: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show the items and users nearest to a text. Vectors are made at the first search and kept in Chroma."""
    import json

    from rich.console import Console

    from whyrec.data import load
    from whyrec.data.text import captions
    from whyrec.embed import open_embedder
    from whyrec.embed.store import VectorStore, collection_name
    from whyrec.settings import read_settings

    if kind not in KINDS:
        raise UsageError(f"--kind {kind!r} is none of {', '.join(KINDS)}.")
    settings, console = read_settings(), Console()
    corpus = load(data, settings=settings)
    catalogue = captions(corpus)
    model = open_embedder(embedder, fit_on=catalogue, cache=settings.home / "embedders")
    vectors = VectorStore(store or settings.home / "vectors")
    found = {}
    try:
        for what in ("items", "users") if kind == "both" else (kind,):
            if what == "items":
                label, ids, texts = "items", corpus.catalogue["id"].to_list(), catalogue
            else:
                label, ids, texts = _users(corpus, run, settings)
            name = collection_name(label, data, model.name)
            new = vectors.put(name, ids=ids, texts=texts, embedder=model)
            if new and not json_:
                console.print(f"[dim]{new:,} {label} embedded into collection {name}[/dim]")
            found[what] = vectors.search(name, text, embedder=model, k=k)
    finally:
        vectors.close()
    if json_:
        rows = {
            w: [{"id": h.id, "similarity": h.similarity, "text": h.text} for h in hits] for w, hits in found.items()
        }
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for what, hits in found.items():
        console.print(_table(what, text, [(f"{h.similarity:.3f}", h.id, h.text) for h in hits]))


def _users(corpus: Corpus, run: str, settings: Settings) -> tuple[str, list[str], list[str]]:
    """(collection label, user ids, texts): preferences of a run, or what each user met, targets not shown."""
    from whyrec.data import SplitView
    from whyrec.data.text import histories
    from whyrec.runs import open_run

    if not run:
        view = SplitView(corpus, "valid")
        return "users", [corpus.user_ids[int(u)] for u in view.users], histories(view)
    ids, texts = _preferences(open_run(settings.home, run))
    if not ids:
        raise UsageError(
            f"The run {run!r} holds no preference; name a finished cot_rec.preference run (whyrec runs ls)."
        )
    return f"preferences-{run}", ids, texts


def _preferences(run: RunReader) -> tuple[list[str], list[str]]:
    ids, texts = [], []
    for result in run.results(status="done"):
        payload = result.payload or {}
        if payload.get("text"):
            ids.append(result.user)
            texts.append(str(payload["text"]))
    return ids, texts


def _table(what: str, text: str, rows: list[tuple[str, str, str]]) -> object:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{what} nearest to {escape(repr(text))}", title_justify="left", expand=True)
    table.add_column("cosine", justify="right", no_wrap=True, min_width=6)
    table.add_column("id", no_wrap=True, min_width=max([2, *(len(id_) for _, id_, _ in rows)]))
    table.add_column("text", overflow="ellipsis", no_wrap=True, ratio=1)
    for similarity, id_, line in rows:
        table.add_row(similarity, escape(id_), escape(line[:200]))
    return table
