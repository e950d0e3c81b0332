"""`whyrec scoter`: templates of reasoning, a student's pairs, steps of chains in Chroma, chains in a thought space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from graphs.scoter.in_space import Weighed
    from graphs.scoter.templates import Template
    from whyrec.runs import RunReader
    from whyrec.settings import Settings

app = typer.Typer(help="SCoTER: templates, a student's pairs, steps of chains.", no_args_is_help=True)


@app.command()
def templates(
    show: str = typer.Option("", "--show", metavar="NAME", help="One template in full: a name or a scoter.mine run."),
    json_: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List the shipped and the mined templates with what they found on fresh users."""
    import json

    from graphs.scoter.templates import SHIPPED, mined
    from whyrec.settings import read_settings

    home = read_settings().home
    rows: list[tuple[Template, dict[str, Any]]] = [(template, {}) for template in SHIPPED.values()]
    rows += list(mined(home))
    if show:
        _show(show, home)
        return
    if json_:
        listed = [
            {"name": t.name, "kind": t.kind, "steps": t.steps, "source": t.source, **_numbers(t, kept)}
            for t, kept in rows
        ]
        typer.echo(json.dumps(listed, ensure_ascii=False, indent=1))
        return
    _table(rows)


@app.command()
def pairs(
    run: str = typer.Argument(help="A scoter.distil run over train prefixes."),
    data: str = typer.Option(..., "--data", help="The data set it was made from."),
    out: Path = typer.Option(Path("pairs.jsonl"), "--out", help="Where the pairs are written."),
) -> None:
    """Write what a student is tuned on: prompt and chain, one JSON line per train prefix."""
    from graphs.scoter.pairs import write_pairs
    from whyrec.data import load
    from whyrec.settings import read_settings

    settings = read_settings()
    stored, options = _distilled(settings, run)
    try:
        written = write_pairs(stored, load(data, settings=settings), out, cap=int(options["cap"]))
    finally:
        stored.close()
    typer.echo(f"{written.pairs} pairs in {out}; {written.incomplete} chains left out because a step is missing.")


@app.command()
def index(
    run: str = typer.Argument(help="A scoter.distil run."),
    data: str = typer.Option(..., "--data", help="The data set it was made from."),
    store: str = typer.Option("", help="A folder or a Chroma server's URL; default: $WHYREC_HOME/vectors."),
    search: str = typer.Option("", "--search", metavar="TEXT", help="Then show the steps nearest to a text."),
    k: int = typer.Option(10, "-k", min=1, max=1000, help="How many of them."),
) -> None:
    """Put the steps of a run's chains into Chroma, in a collection named after the run."""
    from rich.console import Console

    from graphs.shared.texts_of_runs import texts_of
    from whyrec.data import load
    from whyrec.data.text import captions
    from whyrec.embed import open_embedder
    from whyrec.embed.store import VectorStore, collection_name
    from whyrec.errors import UsageError
    from whyrec.settings import read_settings

    settings, console = read_settings(), Console(highlight=False)
    stored, options = _distilled(settings, run)
    try:
        corpus = load(data, settings=settings)
        if stored.info()["data_digest"] != corpus.digest:
            raise UsageError(f"Run {stored.id} was made from other data than {corpus.name}. Name the data it is of.")
        found = texts_of(stored)
    finally:
        stored.close()
    fit_on = captions(corpus)
    embedder = open_embedder(str(options["embedder"]), fit_on=fit_on, cache=settings.home / "embedders")
    name = collection_name(f"{found.what}-{stored.id}", data, embedder.name)
    vectors = VectorStore(store or settings.home / "vectors")
    try:
        about = f"{found.what} of {stored.id}"
        new = vectors.put(name, ids=found.ids, texts=found.texts, embedder=embedder, about=about)
        console.print(f"{len(found.ids)} steps in collection {name}, {new} of them new.", soft_wrap=True, markup=False)
        for hit in vectors.search(name, search, embedder=embedder, k=k) if search else ():
            console.print(f"{hit.similarity:.3f}  {hit.id}  {hit.text}", soft_wrap=True, markup=False)
    finally:
        vectors.close()


@app.command()
def steps(
    run: str = typer.Argument(help="A scoter.distil run."),
    key: str = typer.Argument("", help="A user, the key of an example or a prefix digest; default: the first."),
    k: int = typer.Option(3, "-k", min=0, max=100, help="How many of the nearest steps of other prefixes to show."),
) -> None:
    """Show the step matrix of a prefix: its shape, each step's header and text, and the nearest steps elsewhere."""
    from rich.console import Console

    from graphs.scoter.show_steps import show_steps
    from graphs.shared.earlier_run import open_earlier
    from whyrec.settings import read_settings

    console = Console(highlight=False)
    stored = open_earlier(read_settings().home, run, "scoter.distil")
    try:
        lines = show_steps(stored, key, nearest=k)
    finally:
        stored.close()
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


@app.command()
def weigh(
    run: str = typer.Argument(help="A scoter.generate or scoter.validate run."),
    data: str = typer.Option(..., "--data", help="The data set it was made from."),
    rationales: str = typer.Option("", help="The pulse.rationale run the space is learnt from."),
    embedder: str = typer.Option("lsa", help="Of the space, as pulse.refine names it."),
    json_: bool = typer.Option(False, "--json", help="Print every chain's numbers as JSON."),
) -> None:
    """Weigh a run's chains in a thought space: do they agree with the behaviour they were made from?"""
    import json
    from dataclasses import asdict

    from graphs.scoter.in_space import weigh as weigh_chains
    from graphs.shared.earlier_run import open_earlier
    from graphs.shared.thought_spaces import Learning, with_rationales
    from graphs.workflow import Source
    from whyrec.data import load
    from whyrec.data.text import captions
    from whyrec.embed import open_embedder
    from whyrec.settings import read_settings

    settings = read_settings()
    source = Source(load(data, settings=settings), settings.home)
    stored = open_earlier(settings.home, run, "scoter.generate", "scoter.validate")
    try:
        how = with_rationales(source, Learning(rationales=rationales))
        over = open_embedder(embedder, fit_on=captions(source.corpus), cache=settings.home / "embedders")
        found = weigh_chains(source, stored, how, over)
    finally:
        stored.close()
    if json_:
        typer.echo(json.dumps([asdict(chain) for chain in found.chains], ensure_ascii=False, indent=1))
        return
    _weighed(found, how.rationales)


def _weighed(found: Weighed, rationales: str) -> None:
    """Means over users with intervals, the placebo beside, and what the verdicts say."""
    from rich.console import Console
    from rich.table import Table

    from evals.statistics.aggregate import compare, summarise

    console = Console(highlight=False)
    for leak in found.leaks:
        console.print(f"LEAKS: {leak}", markup=False, soft_wrap=True)
    of = f"{len(found.chains):,} chains of {found.users:,} users in the space of {rationales}"
    console.print(of, markup=False, soft_wrap=True)
    table = Table("measure", "mean", "95 % interval", box=None, pad_edge=False)
    own, other = found.by_user(lambda c: c.cosine), found.by_user(lambda c: c.other)
    ranks = found.by_user(lambda c: 1.0 / c.rank)
    rows = {"cosine with the own behaviour": own, "with the next user's": other, "MRR of the own behaviour": ranks}
    for what, values in rows.items():
        mean = summarise(values)
        table.add_row(what, f"{mean.mean:.4f}", f"{mean.low:.4f} to {mean.high:.4f}")
    table.add_row("its chance", f"{found.chance():.4f}", "")
    console.print(table)
    pair = compare(own, other)
    told = f"{pair.difference:+.4f} ({pair.low:+.4f} to {pair.high:+.4f}), p {pair.p:.4f} over {pair.n} users"
    console.print(f"own against next user's: {told}", markup=False, soft_wrap=True)
    if (agreement := found.agreement()) is not None:
        told = f"Spearman {agreement[0]:+.3f}, p {agreement[1]:.4f}, over chains"
        console.print(f"cosine and the target's percentile: {told}", markup=False, soft_wrap=True)


def _distilled(settings: Settings, run: str) -> tuple[RunReader, dict[str, Any]]:
    """The run and its options."""
    import json

    from graphs.shared.earlier_run import open_earlier

    stored = open_earlier(settings.home, run, "scoter.distil")
    options: dict[str, Any] = json.loads(stored.info()["settings"])["options"]
    return stored, options


def _numbers(template: Template, kept: dict[str, Any]) -> dict[str, Any]:
    """What a mined template found on the fresh users of its run; nothing is known of shipped ones as such."""
    if not kept:
        return {}
    which = "top_k" if template.kind == "top-K" else "mined"
    return {"comparison": kept["comparison"][which], "accepted": kept["accepted"] if which == "mined" else None}


def _table(rows: list[tuple[Template, dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("template", "kind", "recall@20 on fresh users", "steps", box=None, pad_edge=False)
    table.columns[0].no_wrap = True  # its names are typed again
    for template, kept in rows:
        found = _numbers(template, kept)
        table.add_row(escape(template.name), template.kind, _quality(found), escape(str(template)))
    Console(highlight=False).print(table)


def _quality(found: dict[str, Any]) -> str:
    if not found or not found["comparison"]["n"]:
        return ""
    recall = found["comparison"]["recall@20"]
    stands = {None: "", True: "", False: ", a manual one is better"}[found["accepted"]]
    return f"{recall['mean']:.4f} ({recall['low']:.4f} to {recall['high']:.4f}, n {recall['n']}){stands}"


def _show(name: str, home: Path) -> None:
    """Steps and source of a template; of a mined one also why, its clusters, and how all templates did."""
    from rich.console import Console
    from rich.table import Table

    from graphs.scoter.templates import find, mined

    console = Console(highlight=False)
    template = find(home, name)
    console.print(f"{template.name} ({template.kind}; {template.source})", markup=False, soft_wrap=True)
    for place, step in enumerate(template.steps, 1):
        console.print(f"  {place}. {step}", markup=False)
    kept = next((payload for one, payload in mined(home) if one.name == template.name), None)
    if kept is None:
        return
    told = kept["templates"]["top_k" if template.kind == "top-K" else "mined"]
    for part in ("core_logic", "strengths", "limits", "rationale"):
        console.print(f"{part.replace('_', ' ')}: {told[part]}", markup=False, soft_wrap=True)
    for path in kept.get("exemplars", {}).get("top_k" if template.kind == "top-K" else "mined", ()):
        console.print(f"abstracted from: {path}", markup=False, soft_wrap=True)
    clusters = Table("rank", "chains", "hits", "recall@20", "percentile", "nearest path", title="clusters", box=None)
    for rank, row in enumerate(kept["clusters"], 1):
        means = (f"{row['recall@20']['mean']:.4f}", f"{row['percentile']['mean']:.3f}")
        size = f"{row['chains']}{'' if row['eligible'] else ' (too few)'}"
        clusters.add_row(str(rank), size, str(row["hits"]), *means, row["nearest"][0])
    console.print(clusters)
    tried = Table(
        "template", "n", "recall@20", "ndcg@20", "percentile", "p against mined", title="fresh users", box=None
    )
    for which, row in kept["comparison"].items():
        if row["n"]:
            numbers = [f"{row[m]['mean']:.4f}" for m in ("recall@20", "ndcg@20", "percentile")]
            pair = kept["paired"].get(which)
            p = f"{pair['p recall']:.3f} ({pair['p percentile']:.3f} dense)" if pair else ""
            tried.add_row(which, str(row["n"]), *numbers, p)
    console.print(tried)
