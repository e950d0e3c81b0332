"""SCoTER's tables without a recommender: does a template make a language model recommend better? (Tables 2, 3 and 11)

Every user of the test split is reasoned about along a template, s[:-1] in view, and the twenty descriptions are mapped
to the catalogue; Recall@20 and NDCG@20 of the last item. `table_11` is the paper's own table of this kind: manual
templates against the mined one. Its tables 2 (clustering against top-K selection) and 3 (templates of other data sets)
are printed for HSTU with chains inside; here the same templates are compared with nothing inside but the model, so the
printed numbers stand beside as what they are.

Beside every method stand chance (twenty items drawn at random), popularity, item-CF, and a placebo: the chains of
another user, which must not do as well.

Templates are mined on train targets (scoter.mine), never on the test targets that are read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from evals.artefacts import Asked
from evals.doubts import of_items
from evals.experiment import BELOW, Cell, CellFunction, Claim, Context, Experiment, Told
from evals.inputs.training import item_cf
from evals.inputs.training import popularity as most_popular
from evals.output.published import Published, published
from evals.registry import Options
from evals.statistics.aggregate import summarise
from graphs.scoter.judge import Catalogue, Judge, Mapping, verdict_of
from whyrec.data.corpus import Corpus
from whyrec.data.some import HowMany, in_words, named, only
from whyrec.data.split import SplitView
from whyrec.embed import embedder_identity
from whyrec.records import Failure, Outcome, Ranking
from whyrec.runs import Result
from whyrec.settings import read_settings

GENERATE, MINE = "scoter.generate", "scoter.mine"
FREE, MINED, TOP_K, PLACEBO = "free path", "mined", "top-K", "another user's chains"
FREE_PLACEBO = "free path, another user's chains"
MANUAL = {"Two-step": "two_step", "Three-step": "three_step", "Five-step": "five_step"}
PUBLISHED = {"Beauty": "beauty", "Sports": "sports", "Instruments": "instruments", "Yelp": "yelp"}
METRICS = ("recall@20", "ndcg@20")
DENSE = "target's percentile"  # the dense surrogate of graphs/scoter/judge.py

BEATS_MANUAL, BEATS_FREE = "mined beats manual", "mined beats no template"
NO_PLACEBO, NO_CHANCE, ITEM_CF = "it is about this user", "better than chance", "better than item-CF"
CLUSTERS, OWN, REASONS = "clustering beats top-K", "a template of its own data", "better models recommend better"
SAYS = {
    BEATS_MANUAL: "paper D.1: the mined template finds more than the two-, three- and five-step ones",
    BEATS_FREE: "ours: the mined template finds more than a path of the model's own",
    NO_PLACEBO: "control: a user's own chains find more than another user's",
    NO_CHANCE: "control: chains find more than items drawn at random",
    ITEM_CF: "control: chains find more than item-CF",
    CLUSTERS: "paper 4.3, Table 2: a template from clusters finds more than one from the best single chains",
    OWN: "paper 4.3, Table 3: a template mined on the same data finds more than one of other data",
    REASONS: "ours: along the mined template, of two models the better one recommends better",
}


def table_11(corpus: Corpus, options: Options = Options()) -> Experiment:
    """SCoTER Table 11 on this data."""
    rows = (FREE, *MANUAL, *_own(corpus), MINED)
    claims: list[Claim] = []
    for llm in options.llms:
        name = _names(llm)
        claims += [_of_templates(BEATS_MANUAL, llm, row) for row in MANUAL]
        claims.append(_of_templates(BEATS_FREE, llm, FREE))
        claims.append(Claim(NO_PLACEBO, name(MINED), name(PLACEBO), "recall@20"))
        claims.append(Claim(NO_CHANCE, name(MINED), "chance", "recall@20"))
        claims.append(Claim(ITEM_CF, name(MINED), "item-CF", "recall@20"))
    for worse, better in pairwise(options.llms):
        claims.append(Claim(REASONS, _names(better)(MINED), _names(worse)(MINED), "recall@20"))
    printed = {
        **{row: _printed("SCoTER.T11", row, by="backbone") for row in MANUAL},
        **dict.fromkeys((*_own(corpus), MINED), _printed("SCoTER.T11", "SCoTER", by="backbone")),
    }
    return _experiment(
        "scoter.table_11",
        "SCoTER Table 11, LLM-as-recommender",
        options,
        (*rows, PLACEBO, FREE_PLACEBO),
        claims,
        printed,
    )


def table_2(corpus: Corpus, options: Options = Options()) -> Experiment:
    """SCoTER Table 2's templates on this data, without a recommender."""
    claims = [_of_templates(CLUSTERS, llm, TOP_K) for llm in options.llms]
    printed = {
        MINED: _printed("SCoTER.T2", "Clustering", by="dataset"),
        TOP_K: _printed("SCoTER.T2", "Top-K", by="dataset"),
    }
    title = "SCoTER Table 2, clustering or top-K selection, without a recommender"
    return _experiment("scoter.table_2", title, options, (MINED, TOP_K), claims, printed)


def table_3(corpus: Corpus, options: Options = Options()) -> Experiment:
    """SCoTER Table 3's templates on this data, without a recommender."""
    claims = [
        _of_templates(OWN, llm, f"{source} template")
        for llm in options.llms
        for source in PUBLISHED
        if f"{source} template" not in _own(corpus)
    ]
    printed = {
        f"{source} template": {
            column: numbers
            for target in ("Beauty", "Sports")
            for column, numbers in _printed("SCoTER.T3", f"{source}->{target}", by="dataset").items()
        }
        for source in ("Beauty", "Sports")
    }
    title = "SCoTER Table 3, templates of other data sets, without a recommender"
    rows = (*(f"{source} template" for source in PUBLISHED), MINED)
    return _experiment("scoter.table_3", title, options, rows, claims, printed)


def _experiment(
    name: str,
    title: str,
    options: Options,
    rows: Sequence[str],
    claims: Sequence[Claim],
    printed: dict[str, dict[str, dict[str, float]]],
) -> Experiment:
    """A table of these rows for every model, below the anchors."""
    cells = [
        *_anchors(options),
        *(_cell(llm, row, options, printed.get(row, {})) for llm in options.llms for row in rows),
    ]
    columns = {column for cell in cells for column in cell.published}
    at_10 = any("recall@10" in numbers for cell in cells for numbers in cell.published.values())
    return Experiment(
        name=name,
        title=title,
        protocol=(
            "Leave-one-out, test split, the last 20 events before the target in the prompt; twenty descriptions, each "
            f"mapped to its nearest caption by {options.how.embedder} (exact cosine, no item of the history), distinct "
            f"items in the order of the descriptions; a target not among them counts 0. {DENSE}: share of the other "
            "items of the catalogue that are less like the twenty descriptions than the target is (chance .5). "
            f"{_asked_of(options)} Templates are mined on train targets by the model that follows them."
        ),
        cells=tuple(cells),
        metrics=(*METRICS, "recall@10", "ndcg@10") if at_10 else METRICS,
        claims=tuple(claims),
        says={name: SAYS[name] for name in dict.fromkeys(claim.name for claim in claims)},
        columns={column: _columns(name)[column] for column in sorted(columns)},
        measures=(DENSE,),
        measured=(
            f"{in_words(options.users, 'users')} of the test split, and templates are mined from "
            f"{in_words(options.users, 'users')} of the train split; only they are asked about"
        ),
    )


def _of_templates(name: str, llm: str, worse: str) -> Claim:
    """The claim that a model finds more along the mined template than otherwise."""
    return Claim(name, _names(llm)(MINED), _names(llm)(worse), "recall@20")


def _asked_of(options: Options) -> str:
    return f"{in_words(options.users, 'users').capitalize()} of the split."


def _names(llm: str) -> Any:
    return lambda row: f"{row} @{llm}"


def _own(corpus: Corpus) -> tuple[str, ...]:
    """The row of the template that the paper mined on this data set; the general one where it mined none."""
    name = Path(corpus.name.split(":")[0].split("?")[0]).name.lower()
    found = [f"{source} template" for source in PUBLISHED if source.lower() in name]
    return tuple(found) or (f"{next(iter(PUBLISHED))} template",)


def mined(llm: str, options: Options) -> Asked:
    """The run that mines this data's template with this model, on train targets."""
    return Asked(MINE, llm, (("embedder", options.how.embedder),), options.users)


def chains(llm: str, row: str, options: Options) -> Asked:
    """The run that reasons about the test users along a row's template."""
    chosen: dict[str, str | Asked] = {"split": "test"}
    if row in (MINED, TOP_K, PLACEBO):
        chosen |= {"template": mined(llm, options), "pick": "top_k" if row == TOP_K else "mined"}
    elif row not in (FREE, FREE_PLACEBO):
        chosen["template"] = MANUAL.get(row) or PUBLISHED[row.removesuffix(" template")]
    return Asked(GENERATE, llm, tuple(chosen.items()), options.users)


def _cell(llm: str, row: str, options: Options, printed: dict[str, dict[str, float]]) -> Cell:
    asked = chains(llm, row, options)
    return Cell(
        _names(llm)(row),
        _recommended(asked, options, shift=1 if row in (PLACEBO, FREE_PLACEBO) else 0),
        axes={"template": row, "llm": llm},
        settings={
            "asked": str(asked),
            "embedder": embedder_identity(options.how.embedder),
            "placebo": row in (PLACEBO, FREE_PLACEBO),
        },
        needs=(asked,),
        base="chance",
        anchor=row in (PLACEBO, FREE_PLACEBO),
        seeded=False,
        published=printed,
        models=(llm,),
    )


def _recommended(asked: Asked, options: Options, *, shift: int) -> CellFunction:
    """Rankings of the items that users' chains lead to; with `shift`, those of the user so many places further on."""

    def cell(context: Context, _seed: int) -> Told:
        corpus, view = context.corpus, SplitView(context.corpus, "test")
        cache = options.cache or read_settings().home / "embedders"
        catalogue = Catalogue(corpus, options.how.embedder, cache=cache)
        judge = Judge(catalogue, view, Mapping())
        results = context.artefacts.results(asked)
        rows: list[Outcome] = []
        percentiles: list[float] = []
        found = 0
        for place, result in enumerate(results):
            user = int(corpus.user_index[result.user])
            given = results[(place + shift) % len(results)]
            if given.payload is None:
                rows.append(Failure(user, given.reason))
                continue
            verdict = verdict_of(judge, user, given.payload)
            rows.append(ranking(user, verdict.items, view.target(user), corpus.n_items))
            percentiles.append(verdict.percentile)
            found += len(verdict.items)
        about: dict[str, Any] = {"items per user": round(found / max(1, len(rows)), 2)}
        chosen = dict(asked.options)
        if isinstance(mining := chosen.get("template"), Asked) and chosen["pick"] == "mined" and not shift:
            about[BELOW] = _mined_from(context.artefacts.results(mining))
        lists = [row.items for row in rows if isinstance(row, Ranking)]
        dense = {DENSE: summarise(np.array(percentiles), unscored=len(rows) - len(percentiles))} if percentiles else {}
        return Told(rows, about=about, measures=dense, doubts=of_items(lists))

    return cell


def _mined_from(results: Sequence[Result]) -> str:
    """What scoter.mine saw on the train targets: hits and the dense surrogate, per cluster."""
    (payload,) = [dict(result.payload or {}) for result in results]
    if not payload:
        return f"mining failed: {results[0].reason}"
    clusters = [
        f"({c['chains']:,} chains, {c['hits']} hits, R@20 {_spread(c['recall@20'])}, percentile "
        f"{_spread(c['percentile'])}{'' if c['eligible'] else ', too small to be chosen'})"
        for c in payload["clusters"]
    ]
    return (
        f"mined from {payload['chains']:,} chains with {payload['paths']:,} different paths, {payload['k']} clusters, "
        "best first: " + "; ".join(clusters)
    )


def _spread(kept: Any) -> str:
    return f"{kept['mean']:.4f} [{kept['low']:.4f}, {kept['high']:.4f}]"


def ranking(user: int, items: Sequence[int], target: int, n_items: int) -> Ranking:
    """Where the target stands among recommended items; last of all where it is not among them."""
    place = items.index(target) if target in items else n_items - 1
    return Ranking(user, place, 0, n_items, tuple(items))


def _anchors(options: Options) -> Iterator[Cell]:
    cells = {"chance": _chance, "popularity": most_popular(), "item-CF": item_cf()}
    for name, function in cells.items():
        yield Cell(
            name,
            _some(function, options.users),
            settings={"model": name, "users": named(options.users)},
            anchor=True,
            seeded=False,
        )


def _chance(context: Context, _seed: int) -> Told:
    n = context.corpus.n_items
    return Told([Ranking(int(user), 0, n - 1, n) for user in SplitView(context.corpus, "test").users])


def _some(function: CellFunction, users: HowMany) -> CellFunction:
    """The same cell over those users alone whom the models were asked about."""

    def cell(context: Context, seed: int) -> Told:
        told = function(context, seed)
        return Told(
            only(told.test, SplitView(context.corpus, "test").users, users),
            only(told.valid, SplitView(context.corpus, "valid").users, users),
            told.about,
        )

    return cell


def _printed(experiment: str, method: str, *, by: str) -> dict[str, dict[str, float]]:
    """What was printed for a row, by column."""
    found: dict[str, dict[str, float]] = {}
    for row in published(experiment=experiment):
        if row.method == method and row.value is not None:
            found.setdefault(_column(row, by), {})[row.our_metric] = row.value
    return found


def _column(row: Published, by: str) -> str:
    return f"{row.dataset}, {row.backbone}" if by == "backbone" else f"{row.dataset} ({row.backbone} with chains)"


def _columns(name: str) -> dict[str, str]:
    """Published columns of a table and what each is."""
    by = "backbone" if name == "scoter.table_11" else "dataset"
    return {_column(row, by): row.where for row in published(experiment=f"SCoTER.T{name.rpartition('_')[2]}")}
