"""`whyrec search TEXT`: the nearest items, users, and texts that runs have left: reasons, chains, steps, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from whyrec.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from whyrec.data import Corpus
    from whyrec.embed import Embedder
    from whyrec.embed.store import VectorStore
    from whyrec.settings import Settings

    Texts = tuple[str, list[str], list[str], str]  # collection's label, ids, texts, what they are in words

CORPUS_KINDS = ("items", "users", "both")


def command(
    text: str = typer.Argument("", help="What to look for, in words."),
    data: str = typer.Option("", "--data", help="The data set."),
    embedder: str = typer.Option("lsa", help="lsa[:WIDTH], local:NAME, hf:FOLDER, openai:MODEL[@URL] or hashed."),
    k: int = typer.Option(10, "-k", min=1, max=1000, help="How many of each."),
    kind: str = typer.Option(
        "", "--in", "--kind", help="items, users, both (default), or reasons, rationales, preferences, chains, steps, …"
    ),
    run: str = typer.Option("", help="The run whose texts are searched; default with --in: the latest that has some."),
    store: str = typer.Option("", help="A folder or a Chroma server's URL; default: $WHYREC_HOME/vectors."),
    collections: bool = typer.Option(False, "--collections", help="List the collections and what they hold."),
    json_: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show what is nearest to a text. Vectors are made at the first search and kept in Chroma."""
    from whyrec.embed.store import VectorStore
    from whyrec.settings import read_settings

    if not collections and not (text and data):
        raise UsageError("whyrec search needs a text and --data, as in: whyrec search 'warm socks' --data world.")
    settings = read_settings()
    if collections:
        vectors = VectorStore(store or settings.home / "vectors")
        try:
            _list(vectors, json_=json_)
        finally:
            vectors.close()
        return
    from whyrec.data import load
    from whyrec.data.text import captions
    from whyrec.embed import open_embedder

    corpus = load(data, settings=settings)
    wanted = _wanted(corpus, kind, run, settings)
    model = open_embedder(embedder, fit_on=captions(corpus), cache=settings.home / "embedders")
    vectors = VectorStore(store or settings.home / "vectors")
    try:
        _show(vectors, wanted, text, model, data=data, k=k, json_=json_)
    finally:
        vectors.close()


def _show(
    vectors: VectorStore, wanted: dict[str, Texts], text: str, model: Embedder, *, data: str, k: int, json_: bool
) -> None:
    """Put what is missing into the store, search, print."""
    import json

    from rich.console import Console

    from whyrec.embed.store import collection_name

    console, found = Console(), {}
    for what, (label, ids, texts, about) in wanted.items():
        name = collection_name(label, data, model.name)
        new = vectors.put(name, ids=ids, texts=texts, embedder=model, about=about)
        if new and not json_:
            console.print(f"{new:,} {what} embedded into collection {name}", style="dim", markup=False, soft_wrap=True)
        found[what] = vectors.search(name, text, embedder=model, k=k)
    if json_:
        rows = {
            w: [{"id": h.id, "similarity": h.similarity, "text": h.text} for h in hits] for w, hits in found.items()
        }
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for what, hits in found.items():
        console.print(_table(what, text, [(f"{h.similarity:.3f}", h.id, h.text) for h in hits]))


def _wanted(corpus: Corpus, kind: str, run: str, settings: Settings) -> dict[str, Texts]:
    """What is to be searched, by name.

    Raises:
        UnknownNameError: there is no such kind of text.
        UsageError: no run has any, or the run's texts are of another kind or about other data.
    """
    from graphs.shared.texts_of_runs import kinds

    of_runs = bool(kind) and kind not in CORPUS_KINDS
    if of_runs and kind not in kinds():
        raise UnknownNameError("kind of text", kind, [*CORPUS_KINDS, *kinds()])
    if run or of_runs:
        return _of_run(corpus, kind, run or _latest(corpus, kind, settings), settings)
    found = {}
    for what in ("items", "users") if kind in ("", "both") else (kind,):
        found[what] = _items(corpus) if what == "items" else _users(corpus)
    return found


def _items(corpus: Corpus) -> Texts:
    from whyrec.data.text import captions

    return "items", corpus.catalogue["id"].to_list(), captions(corpus), f"items of {corpus.name}"


def _users(corpus: Corpus) -> Texts:
    """What each user met; targets are not shown."""
    from whyrec.data import SplitView
    from whyrec.data.text import histories

    view = SplitView(corpus, "valid")
    ids = [corpus.user_ids[int(u)] for u in view.users]
    return "users", ids, histories(view), f"what users of {corpus.name} met before the validation target"


def _of_run(corpus: Corpus, kind: str, run: str, settings: Settings) -> dict[str, Texts]:
    from graphs.shared.texts_of_runs import texts_of
    from whyrec.runs import open_run

    stored = open_run(settings.home, run)
    try:
        info, found = stored.info(), texts_of(stored)
        if info["data_digest"] != corpus.digest:
            raise UsageError(
                f"Run {stored.id} is about {info['data']}, not about {corpus.name}: give --data of the run."
            )
        if kind not in ("", found.what):
            raise UsageError(f"Run {stored.id} holds {found.what}, not {kind}.")
        about = f"{found.what} of {stored.id} by {info['model']}"
        return {found.what: (f"{found.what}-{stored.id}", list(found.ids), list(found.texts), about)}
    finally:
        stored.close()


def _latest(corpus: Corpus, kind: str, settings: Settings) -> str:
    """The latest run over this data with texts of a kind."""
    from graphs.shared.texts_of_runs import kinds
    from whyrec.runs import list_runs

    graphs = kinds()[kind]
    for info in list_runs(settings.home):
        if info.graph in graphs and info.counts.done and _digest(settings, info.id) == corpus.digest:
            return info.id
    raise UsageError(
        f"No run over {corpus.name} holds {kind}. Run this first: whyrec run {graphs[0]} --data {corpus.name} "
        "--llm MODEL."
    )


def _digest(settings: Settings, run: str) -> str:
    from whyrec.runs import open_run

    stored = open_run(settings.home, run)
    try:
        return str(stored.info()["data_digest"])
    finally:
        stored.close()


def _list(vectors: VectorStore, *, json_: bool) -> None:
    """The collections, each with its size and what it holds."""
    import json
    from dataclasses import asdict

    from rich.console import Console

    found = vectors.listed()
    if json_:
        typer.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False)
    if not found:
        console.print(f"No collections in {vectors.place}: whyrec search and whyrec scoter index make them.")
    for one in found:
        console.print(f"{one.name}\n  {one.rows:,} rows: {one.about}", markup=False, soft_wrap=True)


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
