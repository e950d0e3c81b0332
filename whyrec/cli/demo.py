"""`whyrec demo`: the whole way once, from a history to a table, with models that need no key and no network.

On a generated world and, where it is found, on the first users of a real data set: the reasoning graphs write
descriptions and preferences, Chroma takes their vectors, SASRec trains from them, and the table says whether it helped.
Everything is kept, so a second demo asks no model and trains nothing; it says so.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from evals.inputs.graph_artefacts import GraphArtefacts
    from evals.session import Session
    from graphs.run import RunReport
    from whyrec.data import Corpus
    from whyrec.settings import Settings

WORLD = "world:users=600,items=240"
REAL = "amazon14_beauty"
REAL_USERS = 1500
TABLE = "cot_rec.table_1"
LLM = "extractive"
SEED = 2021
CELLS = (
    "popularity;item-CF;SASRec user=None,item=Random;SASRec user=None,item=Caption;"
    "SASRec user=None,item=Description*;SASRec user=Preference,item=Description*"
)


def command() -> None:
    """Go the whole way once: graphs, vectors, a trained recommender, a table. No key, no network."""
    from rich.console import Console

    from whyrec.data import names
    from whyrec.settings import read_settings

    console = Console(width=None if sys.stdout.isatty() else 140)
    settings, began = read_settings(), time.monotonic()
    sets = [WORLD]
    if REAL in names(settings):
        sets.append(f"{REAL}?users={REAL_USERS}&kcore=3")
    asked, kept = 0, 0
    for data in sets:
        more_asked, more_kept = _whole_way(console, settings, data)
        asked, kept = asked + more_asked, kept + more_kept
    if len(sets) == 1:
        console.print(
            f"[yellow]Real data left out:[/yellow] no {REAL} under {', '.join(map(str, settings.data_folders))}. "
            "Set WHYREC_DATA to the folder that holds it."
        )
    served = "Everything was served from what the last demo kept." if not asked else "The next demo is served from it."
    console.print(
        f"\n[bold]Done in {time.monotonic() - began:.0f} s.[/bold] {asked:,} answers asked for, {kept:,} results found "
        f"already there, under {settings.home}. {served}\n"
        f"Next: [bold]whyrec ui[/bold] (Results shows these tables), [bold]whyrec runs ls[/bold], "
        f"[bold]whyrec search 'soft hair oil' --data {REAL}[/bold], [bold]whyrec run cot_rec.preference --help[/bold]"
    )


def _whole_way(console: Console, settings: Settings, data: str) -> tuple[int, int]:
    """One data set through everything; returns (answers asked for, results that were there already)."""
    from evals.output.report import render_table
    from evals.output.table import terminal

    corpus, session, reports = _open(settings, data)
    console.rule(f"[bold]{data}", align="left")
    console.print(
        f"{corpus.n_users:,} users, {corpus.n_items:,} items, {corpus.n_interactions:,} interactions; "
        f"histories end before the validation item, targets stay unseen"
    )
    with console.status("reasoning: describing items, folding histories into preferences"):
        jobs = session.plan()
    for report in reports:
        console.print(f"  [green]{report.run}[/green]: {_sentence(report)}")
    _vectors(console, settings, corpus, session)
    stored = sum(job.stored is not None for job in jobs)
    with console.status("training") as status:
        table = session.run(
            jobs, done=lambda job, _run: status.update(f"trained {job.cell.name}"), say=lambda line: status.update(line)
        )
    console.print(f"  table: {len(jobs) - stored} cells computed, {stored} served from the last demo")
    console.print(terminal(table, width=console.width))
    page = render_table(session.place.table(table.slug))[0]
    console.print(f"  wrote {page}", style="dim", markup=False, highlight=False, soft_wrap=True)
    asked = sum(report.now.calls.asked for report in reports) + len(jobs) - stored
    return asked, sum(report.now.before for report in reports) + stored


def _open(settings: Settings, data: str) -> tuple[Corpus, Session, list[RunReport]]:
    """The data, the table's session, and a list that fills with the reports of the graphs it runs."""
    from evals.evaluate import Place
    from evals.inputs.graph_artefacts import GraphArtefacts
    from evals.registry import Options
    from evals.results import own_folder
    from evals.session import Choice, Session
    from graphs.run import How
    from whyrec.data import load

    corpus, reports = load(data, settings=settings), []
    how = How(settings=settings, command="whyrec demo")
    artefacts: GraphArtefacts = GraphArtefacts(corpus, how=how, said=lambda _source, report: reports.append(report))
    session = Session(
        TABLE,
        corpus,
        artefacts=artefacts,
        place=Place(settings.home, own_folder(settings.home, TABLE, corpus)),
        choice=Choice((SEED,), CELLS),
        options=Options(llms=(LLM,), cache=settings.home / "embedders"),
    )
    return corpus, session, reports


def _sentence(report: RunReport) -> str:
    done, calls = report.now, report.now.calls
    if not done.done + done.failed:
        return f"all {done.before:,} examples were done already, no model was asked"
    return f"{done.done:,} done, {done.failed:,} failed; {calls.asked:,} calls, {calls.hits:,} more from the cache"


def _vectors(console: Console, settings: Settings, corpus: Corpus, session: Session) -> None:
    """Preferences and captions into Chroma, and one search."""
    from rich.markup import escape

    from evals.artefacts import Source
    from whyrec.data.text import captions
    from whyrec.embed import open_embedder
    from whyrec.embed.store import VectorStore, collection_name

    items = captions(corpus)
    embedder = open_embedder("lsa", fit_on=items, cache=settings.home / "embedders")
    preferences = session.artefacts.texts(Source("preference", LLM)).texts
    people = [u for u, text in enumerate(preferences) if text]
    store = VectorStore(settings.home / "vectors")
    try:
        new, names = 0, []
        for kind, ids, texts in (
            ("items", corpus.catalogue["id"].to_list(), items),
            ("preferences", [corpus.user_ids[u] for u in people], [preferences[u] for u in people]),
        ):
            name = collection_name(kind, corpus.name, embedder.name)
            new += store.put(name, ids=ids, texts=texts, embedder=embedder)
            names.append(name)
        console.print(
            f"  Chroma: {store.count(names[0]):,} items and {store.count(names[1]):,} preferences, {new:,} of them new"
        )
        user = people[0]
        nearest = store.search(names[0], preferences[user], embedder=embedder, k=3)
        console.print(
            f"  user {escape(corpus.user_ids[user])} prefers: [italic]{escape(preferences[user][:220])}[/italic]"
        )
        for hit in nearest:
            console.print(f"    {hit.similarity:.2f}  {escape(hit.text[:110])}")
    finally:
        store.close()
