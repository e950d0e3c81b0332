"""PULSE's tables: does the reason chosen in thought space find the next item, and how much of that is a leak?

`table_4` holds everything fixed but the rule that picks a reason out of one pool (ablation A), and adds what the paper
lacks to make its point: no reason, the base reason, a random and the longest one, and another user's as a placebo.
`leaks` is the grid of spec 9.2, PUL-LEAK: what the paper's scores may owe to knowing the target, cell by cell; every
cell that leaks is called so. Our model is not tuned, the paper's is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from evals.artefacts import Asked
from evals.doubts import READ_BY, of_letters, of_ways
from evals.experiment import Cell, CellFunction, Claim, Context, Experiment, Told
from evals.inputs.bias import BIAS, ROTATED, bias_in_words, bias_orders, labels_in_words
from evals.metrics import sample_bias
from evals.output.published import Published, published
from evals.registry import Options
from evals.statistics.aggregate import summarise
from evals.summary import Summary
from graphs.pulse.choose import outcome
from graphs.shared.placements import places_rotated, places_swapped
from rec_models.base import Recommender
from rec_models.collaborative.itemcf import ItemCF
from rec_models.collaborative.popularity import Popularity
from rec_models.rank import rank
from whyrec.data.candidates import sample
from whyrec.data.corpus import Corpus
from whyrec.data.some import Drawn, HowMany, in_words, named, only, some
from whyrec.data.split import SplitView
from whyrec.records import Ranking
from whyrec.runs import Result

TABLE, LEAKS = "pulse.table_4", "pulse.leaks"
METRICS = ("hr@1", "mrr@10")
CANDIDATES = 10
LEARNERS = 5000  # users whose rationales a thought space is learnt from

NO_REASON, PLACEBO = "no reason", "another user's reason"
SELECTORS = {
    "base reason": "base",
    "random": "random",
    "longest": "longest",
    "likelihood": "likelihood",
    "embedding cosine": "embedding",
    "thought space": "space",
}
_ROTATED = (NO_REASON, "base reason", "thought space")  # rows whose position bias is measured
_PRINTED = {"SBERT cosine": "embedding cosine", "Thought Space": "thought space"}
_ABLATION_B = {"1 no reasons": NO_REASON, "2 base reason": "base reason", "3 ToT+LL": "likelihood"}

SPACE, TREE, REASON, CONTROL, MODELS = (
    "thought space chooses better",
    "a tree beats a single reason",
    "a reason helps",
    "not just any reason",
    "better models choose better",
)
SAYS = {
    SPACE: "paper 5.5 A: reasons chosen in thought space serve better than by plain cosine; ours: than blindly",
    TREE: "paper 5.5 B: the chosen leaf serves better than the base reason",
    REASON: "paper 5.5 B: history with a reason serves better than history alone",
    CONTROL: "control: the user's own reason serves better than another user's",
    MODELS: "ours: of two models the better one chooses better with its own reasons",
}


def table_4(corpus: Corpus, options: Options = Options()) -> Experiment:
    """PULSE Table 4 (and the rows of Table 5 that need no tuning) on this data."""
    claims = tuple(_claims(options))
    names = {claim.name for claim in claims}
    cells = [cell for llm in options.llms for cell in _rows(llm, options)]
    return Experiment(
        name=TABLE,
        title="PULSE Table 4, which scoring space picks the reason",
        protocol=_protocol(options),
        cells=(*_anchors(options), *cells),
        metrics=METRICS,
        claims=claims,
        says={name: says for name, says in SAYS.items() if name in names},
        columns={
            _column(row): f"{row.where}; rows without a scoring space: Table 5"
            for row in published(experiment="PULSE.T4")
        },
        measures=(BIAS, ROTATED),
        labels=options.labels,
        measured=_asked_about(options),
    )


def leaks(corpus: Corpus, options: Options = Options()) -> Experiment:
    """What knowing the target is worth: the grid of spec 9.2."""
    cells = [cell for llm in options.llms for cell in _grid(llm, options)]
    return Experiment(
        name=LEAKS,
        title="PULSE, the leak grid",
        protocol=(
            f"{_protocol(options)} Rows called LEAKS show the target somewhere on the way, which nobody could at test "
            "time: behaviour texts of test users that name it, rationales made from it, or similar users' later items."
        ),
        cells=(*_anchors(options), *cells),
        metrics=METRICS,
        measured=_asked_about(options),
        labels=options.labels,
    )


def name_of(row: str, llm: str) -> str:
    """Name of a cell of table_4."""
    return f"{row} @{llm}"


def rationales(llm: str, target: str = "train") -> Asked:
    """The run that a thought space is learnt from; honest ones first by name, since the default is not written."""
    chosen = () if target == "train" else (("target", target),)
    return Asked("pulse.rationale", llm, chosen, Drawn(LEARNERS))


def reasons(llm: str, options: Options) -> Asked:
    """The run whose pool serves every row."""
    embedder = () if options.how.embedder == "lsa" else (("embedder", options.how.embedder),)
    return Asked("pulse.refine", llm, (("rationales", rationales(llm)), *embedder), options.users)


def chosen(row: str, llm: str, options: Options) -> Asked:
    """The run that chooses among the candidates."""
    placements = (*_read(options), *(bias_orders(options, CANDIDATES) if row in _ROTATED else ()))
    if row == NO_REASON:
        return Asked("pulse.choose", llm, (("selector", "none"), *placements), options.users)
    selector = "space" if row == PLACEBO else SELECTORS[row]
    whose = (("whose", "another"),) if row == PLACEBO else ()
    asked = (("reasons", reasons(llm, options)), ("selector", selector), *whose, *placements)
    return Asked("pulse.choose", llm, asked, options.users)


def _read(options: Options) -> tuple[tuple[str, str], ...]:
    """How letters are read, alike in all rows; unsaid where the workflow's own choice of a way is wanted."""
    return () if options.labels == "any" else (("labels", options.labels),)


def _rows(llm: str, options: Options) -> Iterator[Cell]:
    for row in (NO_REASON, *SELECTORS, PLACEBO):
        asked = chosen(row, llm, options)
        yield Cell(
            name_of(row, llm),
            choosing(asked),
            axes={"reason": row, "llm": llm},
            settings={"graph": str(asked)},
            needs=(asked,),
            base="" if row == NO_REASON else name_of(NO_REASON, llm),
            anchor=row == PLACEBO,
            seeded=False,
            published=_printed(row),
            models=(llm,),
        )


def _anchors(options: Options) -> Iterator[Cell]:
    """Chance, popularity and item-CF among the very same candidates."""
    for name, function in (
        ("chance", _chance(options.users)),
        ("popularity", _ranked(Popularity, options.users)),
        ("item-CF", _ranked(ItemCF, options.users)),
    ):
        yield Cell(name, function, settings={"model": name, "users": named(options.users)}, anchor=True, seeded=False)


def _claims(options: Options) -> Iterator[Claim]:
    for llm in options.llms:
        ours = name_of("thought space", llm)
        for other in ("embedding cosine", "random", "longest", "likelihood"):
            yield Claim(SPACE, ours, name_of(other, llm), "hr@1")
        yield Claim(TREE, ours, name_of("base reason", llm), "hr@1")
        yield Claim(REASON, ours, name_of(NO_REASON, llm), "hr@1")
        yield Claim(CONTROL, ours, name_of(PLACEBO, llm), "hr@1")
    for worse, better in pairwise(options.llms):
        yield Claim(MODELS, name_of("thought space", better), name_of("thought space", worse), "hr@1")


def _grid(llm: str, options: Options) -> Iterator[Cell]:
    """behaviour x rationales x similar users x selector; without rationales there is no training to show targets in."""
    for behaviour in ("never", "train_only", "all-i-know-this-leaks"):
        for phase_1 in ("none", "train", "test-i-know-this-leaks"):
            if (behaviour, phase_1) == ("train_only", "none"):
                continue
            for similar in ("train", "all-i-know-this-leaks"):
                told: tuple[tuple[str, str | Asked], ...] = (
                    ("rationales", "none" if phase_1 == "none" else rationales(llm, phase_1)),
                    ("behaviour", behaviour),
                    ("neighbours", similar),
                    ("selectors", "space,embedding"),
                )
                tree = Asked("pulse.refine", llm, told, options.users)
                for selector in ("space", "embedding"):
                    told_to = (("reasons", tree), ("selector", selector), *_read(options))
                    asked = Asked("pulse.choose", llm, told_to, options.users)
                    axes = {"behaviour": behaviour, "rationales": phase_1, "similar": similar, "selector": selector}
                    yield _leak_cell(axes, llm, asked)


def _leak_cell(axes: dict[str, str], llm: str, asked: Asked) -> Cell:
    def name(values: dict[str, str]) -> str:
        leaky = any("leaks" in value for value in values.values())
        said = ", ".join(f"{axis} {value.removesuffix('-i-know-this-leaks')}" for axis, value in values.items())
        return f"{'LEAKS: ' if leaky else ''}{said} @{llm}"

    honest = {"behaviour": "never", "rationales": "train", "similar": "train", "selector": axes["selector"]}
    return Cell(
        name(axes),
        choosing(asked),
        axes={**axes, "llm": llm},
        settings={"graph": str(asked)},
        needs=(asked,),
        base="" if axes == honest else name(honest),
        seeded=False,
        models=(llm,),
    )


def choosing(asked: Asked) -> CellFunction:
    """The cell of a pulse.choose run: one ranking of ten per user, and position bias where more orders were asked."""

    def cell(context: Context, _seed: int) -> Told:
        view = SplitView(context.corpus, "test")
        found = context.artefacts.results(asked)
        rows = [outcome(view, result) for result in found]
        done = [result.payload for result in found if result.payload is not None]
        ways = [str(p["way"]) for p in done]
        about: dict[str, Any] = {READ_BY: ", ".join(sorted(set(ways)))}
        if told := sorted({leak for payload in done for leak in payload["leaks"]}):
            about["LEAKS"] = "; ".join(told)
        doubts = (*of_ways(ways), *of_letters([p["probabilities"][0] for p in done]))
        return Told(rows, about=about, measures=_biases(view, context.corpus, found), doubts=doubts)

    return cell


def _biases(view: SplitView, corpus: Corpus, found: Sequence[Result]) -> dict[str, Summary]:
    """Position bias over the users asked in all orders: the target swapped to every place, and the order rotated."""
    done = [result.payload for result in found if result.payload is not None]
    swapped = [places_swapped(p["swapped"]) for p in done if p.get("swapped")]
    turned = [
        places_rotated(p["probabilities"], p["shown"].index(view.target(int(corpus.user_index[p["user"]]))))
        for p in done
        if len(p["probabilities"]) == len(p["shown"])
    ]
    return {
        name: summarise(sample_bias(places), unscored=len(found) - len(places))
        for name, places in ((BIAS, swapped), (ROTATED, turned))
        if places
    }


def _chance(users: HowMany) -> CellFunction:
    def cell(context: Context, _seed: int) -> Told:
        asked = some(SplitView(context.corpus, "test").users, users)
        return Told([Ranking(int(user), 0, CANDIDATES - 1, CANDIDATES) for user in asked])

    return cell


def _ranked(kind: type[Popularity] | type[ItemCF], users: HowMany) -> CellFunction:
    """A recommender fitted on s[:-2], over the frozen candidates that the graph shows."""

    def cell(context: Context, _seed: int) -> Told:
        view = SplitView(context.corpus, "test")
        model: Recommender = kind(SplitView(context.corpus, "valid"))
        drawn = sample(view, CANDIDATES - 1, 0)
        assert np.array_equal(drawn.users, view.users)
        return Told(only(rank(model, view, candidates=drawn, top=0), view.users, users))

    return cell


def _printed(row: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for printed in _published_rows():
        if {**_PRINTED, **_ABLATION_B}.get(printed.method) == row and printed.value is not None:
            found.setdefault(_column(printed), {})[printed.our_metric] = printed.value
    return found


def _published_rows() -> list[Published]:
    """Table 4, and the rows of Table 5 that Table 4 does not have."""
    return [
        *published(experiment="PULSE.T4"),
        *(r for r in published(experiment="PULSE.T5") if r.method in _ABLATION_B),
    ]


def _column(row: Published) -> str:
    return f"PULSE {row.dataset}"


def _asked_about(options: Options) -> str:
    return (
        f"{in_words(options.users, 'users')} of the test split, and only they are asked about; the thought space "
        f"learns from rationales of {in_words(Drawn(LEARNERS), 'users')} of the train split, whatever --users says"
    )


def _protocol(options: Options) -> str:
    return (
        "leave-two-out, test targets; the target among 9 items the user never met, drawn uniformly and frozen, ranked "
        "by the probabilities of their letters, equals in expected order; chance is .1; the model is not tuned (the "
        "paper's is, on its own data sets); rationales are made from s[:-3] -> s[-3], reasons from s[:-1]; one pool of "
        f"leaves serves every selector; {bias_in_words(options)}; {in_words(options.users, 'users')} of the split; "
        f"{labels_in_words(options)}"
    )
