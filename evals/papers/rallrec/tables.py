"""RALLRec+'s tables (Luo et al., 2025) on click rows, with what they lack beside them.

`table_5` holds the rows of Tables 2 to 5 that need no tuned model: a general model at once (Table 2, 4), the same model
thinking without and with retrieval (Table 3), and knowledge injection times consistency merging (Table 5), where the
tuned 8B expert is replaced by a logistic regression on train rows. Beside them: the base rate, the item's own rate and
the expert alone, without which no merged number can be read; eq. 10 with alpha and epsilon chosen on validation rows;
and three controls, which a method that works must beat or lose by: a flipped hint, another row's hint, and thoughts
about another user's row.

`table_6` compares what retrieval measures likeness with (Table 6) and how the shown events are chosen (Figure 8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from evals.artefacts import Asked
from evals.experiment import Cell, CellFunction, Claim, Context, Experiment, Told
from evals.metrics import Floats, metric
from evals.output.published import published
from evals.papers.rallrec.clicks import (
    AUC,
    OVER_EXPERT,
    Pool,
    always_base,
    cell_of,
    expert_alone,
    item_rate,
    pool_of,
    rows_of,
    told,
)
from evals.papers.rallrec.constants import constants
from evals.registry import Options
from graphs.rallrec.merge import ALPHA, EPSILON, Merging
from whyrec.data.corpus import Corpus
from whyrec.data.ctr import CtrRows
from whyrec.data.some import at_most

GRAPH = "rallrec.predict"
METRICS = ("log_loss", "accuracy")
ALPHAS = (0.0, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0, 10.0)
EPSILONS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
ROWS = 500  # asked of a model unless more are wanted: each costs some ten calls
_READS_NOTHING = "extractive"  # plays the model in runs that ask none
_OURS = {"AUC": AUC, "LogLoss": "log_loss", "ACC": "accuracy"}
_SAME_DATA = {"ml-1m": "MovieLens", "book-crossing": "BookCrossing"}

# the name of a pool of samples: its options
POOLS: Mapping[str, Mapping[str, str]] = {
    "at once": {"mode": "direct", "hint": "none"},
    "recent": {"retrieval": "recent", "hint": "none"},
    "unhinted": {"hint": "none"},
    "hinted": {},
    "flipped": {"hint": "flipped"},
    "another row's hint": {"hint": "placebo"},
    "another user's thoughts": {"reasons": "placebo"},
    "unhinted, another user's thoughts": {"hint": "none", "reasons": "placebo"},
}

MERGING, INJECTION, RETRIEVAL = "merging by consistency helps", "an injected opinion helps", "retrieval helps thinking"
THINKING, PLACEBO, EXPERT = "thinking helps", "placebos do not", "merging beats the expert"
BETTER = "better reasons help"
SAYS = {
    THINKING: "paper 3.2: a reasoning model predicts better than a general one",
    RETRIEVAL: "paper 3.3: with retrieval it does better than with recent events",
    INJECTION: "paper 5.3: the expert's opinion in the prompt helps",
    MERGING: "paper 5.3: merging by consistency beats constant weights",
    EXPERT: "control: merging adds something to the expert alone",
    PLACEBO: "control: own hints and thoughts beat another row's",
    BETTER: "ours: a better model's reasoning predicts better",
}


def table_5(corpus: Corpus, options: Options = Options()) -> Experiment:
    """RALLRec+ Tables 2 to 5 on this data."""
    claims = tuple(claim for llm in options.llms for claim in _claims(llm)) + tuple(_better(options))
    return Experiment(
        name="rallrec.table_5",
        title="RALLRec+ Tables 2-5, clicks by reasoning",
        protocol=f"{_protocol(options)} {_ROWS_MEAN}",
        cells=(*_anchors(corpus, options), *(c for llm in options.llms for c in _cells(corpus, llm, options))),
        metrics=METRICS,
        claims=claims,
        says={name: says for name, says in SAYS.items() if any(c.name == name for c in claims)},
        columns=columns(corpus, "T2", "T3", "T4", "T5"),
        measures=(AUC, OVER_EXPERT),
        measured=measured(options),
    )


def table_6(corpus: Corpus, options: Options = Options()) -> Experiment:
    """RALLRec+ Table 6 and Figure 8 on this data: what is retrieved, judged by the expert and by a model at once."""
    return Experiment(
        name="rallrec.table_6",
        title="RALLRec+ Table 6 and Figure 8, what is retrieved",
        protocol=_protocol(options),
        cells=(*_guesses(options), *_retrievals(corpus, options)),
        metrics=METRICS,
        columns=columns(corpus, "T6"),
        measures=(AUC, OVER_EXPERT),
        measured=measured(options),
    )


def measured(options: Options) -> str:
    """Whom the numbers are over."""
    own = "" if options.users is not None else "; the table's own number, --users asks about more"
    return (
        f"{at_most(options.users) or ROWS:,} rows (a user and an item each, so --users counts rows) drawn at random "
        f"from the last tenth in time, and only they are asked about{own}"
    )


def asked(pool: str, llm: str, options: Options, *, split: str = "test", **more: str) -> Asked:
    """The run behind a pool of samples."""
    chosen = {"split": split, **POOLS[pool], **more} | ({} if options.shown is None else {"k": str(options.shown)})
    chosen |= {} if options.how.embedder == "lsa" else {"embedder": options.how.embedder}
    return Asked(GRAPH, llm, tuple(sorted(chosen.items())), at_most(options.users) or ROWS)


def printed(corpus: Corpus, *where: tuple[str, str]) -> dict[str, dict[str, float]]:
    """What was printed: published column -> our metric -> value, of the (table, method) pairs, the first that has it.

    The tables print one set of runs, so one column has them all.
    """
    ours, found = _column_data(corpus), dict[str, float]()
    for table, method in where:
        for row in published(experiment=f"RALLRec+.{table}", method=method, dataset=ours):
            if row.value is not None and row.metric in _OURS:
                found.setdefault(_OURS[row.metric], row.value)
    return {f"RALLRec+ {ours}": found} if found else {}


def columns(corpus: Corpus, *wanted: str) -> dict[str, str]:
    """The published column of some tables and what it is; of data that no table has, MovieLens stands beside."""
    ours = _column_data(corpus)
    first = published(experiment=f"RALLRec+.{wanted[0]}", dataset=ours)[0].where
    several = f"Tables {', '.join(table[1:] for table in wanted)}"
    where = first.replace(f"Table {wanted[0][1:]}", several) if len(wanted) > 1 else first
    told = "on the first 10,000 test rows in time, expert tuned on 8,192 rows"
    return {f"RALLRec+ {ours}": f"{where}; {told}"}


def _column_data(corpus: Corpus) -> str:
    return _SAME_DATA.get(_base_name(corpus), "MovieLens")


def _anchors(corpus: Corpus, options: Options) -> Iterator[Cell]:
    """Rows that no language model has a part in; their run asks none."""
    nothing = asked("at once", _READS_NOTHING, options)
    for name, say in {"base rate": always_base, "item's liked rate": item_rate, "expert alone": expert_alone}.items():
        yield Cell(
            name,
            cell_of(nothing, say, asks=False),
            settings={"says": name},
            needs=(nothing,),
            base="" if name == "expert alone" else "expert alone",
            anchor=True,
            seeded=False,
            published=printed(corpus, ("T4", "RALLRec")) if name == "expert alone" else {},
        )


def _guesses(options: Options) -> Iterator[Cell]:
    """Rows that look at nothing of the history: the base rate, and the item's own rate."""
    nothing = asked("at once", _READS_NOTHING, options, retrieval="recent")
    for name, say in {"base rate": always_base, "item's liked rate": item_rate}.items():
        yield Cell(
            name,
            cell_of(nothing, say, asks=False),
            settings={"says": name},
            needs=(nothing,),
            base="expert, recent",
            anchor=True,
            seeded=False,
        )


def _cells(corpus: Corpus, llm: str, options: Options) -> Iterator[Cell]:
    cell = partial(_cell, corpus, llm, options)
    yield cell("at once", "at once", "reasoning", ("T2", "Llama-3.1-8B-Instruct (zero-shot)"), ("T4", "Llama3.1"))
    yield cell("thinks, recent", "recent", "reasoning", ("T3", "reasoning, w/o retrieval"))
    yield cell("thinks, retrieval", "unhinted", "reasoning", ("T3", "reasoning, w/ retrieval"))
    yield cell("thinks, hinted", "hinted", "reasoning")
    yield cell("KP=0,CM=0", "unhinted", "constant", ("T5", "KP=0,CM=0"))
    yield cell("KP=0,CM=1", "unhinted", "consistency", ("T5", "KP=0,CM=1"))
    yield cell("KP=1,CM=0", "hinted", "constant", ("T5", "KP=1,CM=0"))
    yield cell("KP=1,CM=1", "hinted", "consistency", ("T5", "KP=1,CM=1"), ("T4", "RALLRec+"))
    yield _tuned(llm, options)
    yield from constants(llm, asked("hinted", llm, options), asked("hinted", llm, options, split="valid"))
    yield cell("thinks, flipped hint", "flipped", "reasoning")
    yield cell("thinks, another row's hint", "another row's hint", "reasoning")
    yield cell("thinks, another user's thoughts", "another user's thoughts", "reasoning")
    yield cell("KP=1,CM=1, another user's thoughts", "another user's thoughts", "consistency")
    yield cell("thinks, retrieval, another user's thoughts", "unhinted, another user's thoughts", "reasoning")


def _cell(
    corpus: Corpus, llm: str, options: Options, name: str, pool: str, merging: Merging, *where: tuple[str, str]
) -> Cell:
    run = asked(pool, llm, options)
    say = _say(merging, ALPHA, EPSILON)
    return Cell(
        f"{name} @{llm}",
        cell_of(run, say),
        models=(llm,),
        axes={"llm": llm, "pool": pool, "merging": merging},
        settings={"merging": merging, "alpha": ALPHA, "epsilon": EPSILON},
        needs=(run,),
        base="expert alone",
        seeded=False,
        published=printed(corpus, *where),
    )


def _tuned(llm: str, options: Options) -> Cell:
    """Eq. 10 with alpha and epsilon chosen on validation rows of the same model."""
    run, valid = asked("hinted", llm, options), asked("hinted", llm, options, split="valid")
    return Cell(
        f"KP=1,CM=1, chosen on valid @{llm}",
        _tuning(run, valid),
        models=(llm,),
        axes={"llm": llm, "pool": "hinted", "merging": "consistency"},
        settings={"alphas": ALPHAS, "epsilons": EPSILONS},
        needs=(run, valid),
        base="expert alone",
        seeded=False,
    )


def _tuning(run: Asked, valid: Asked) -> CellFunction:
    def cell(context: Context, _seed: int) -> Told:
        rows = rows_of(context)
        before = pool_of(context.artefacts.results(valid), rows, "valid")
        alpha, epsilon = choose(before)
        test = pool_of(context.artefacts.results(run), rows, "test")
        say = _say("consistency", alpha, epsilon)
        checked = before.outcomes(say(before, rows))
        return told(test, say(test, rows), valid=checked, about={"alpha": alpha, "epsilon": epsilon})

    return cell


def choose(valid: Pool) -> tuple[float, float]:
    """(alpha, epsilon) with the lowest log loss on validation rows; the first of equals."""
    loss = metric("log_loss")

    def of(pair: tuple[float, float]) -> float:
        p = valid.merged("consistency", alpha=pair[0], epsilon=pair[1])
        return round(float(loss.clicks(p, valid.clicked).mean()), 9)

    return min(((alpha, epsilon) for alpha in ALPHAS for epsilon in EPSILONS), key=of)


def _say(merging: Merging, alpha: float, epsilon: float) -> partial[Floats]:
    return partial(_merged, merging=merging, alpha=alpha, epsilon=epsilon)


def _merged(pool: Pool, rows: CtrRows, *, merging: Merging, alpha: float, epsilon: float) -> Floats:
    return pool.merged(merging, alpha=alpha, epsilon=epsilon)


def _claims(llm: str) -> Iterator[Claim]:
    def claim(name: str, better: str, worse: str) -> Claim:
        other = f"{worse} @{llm}" if worse != "expert alone" else worse
        return Claim(name, f"{better} @{llm}", other, "log_loss")

    yield claim(THINKING, "thinks, recent", "at once")
    yield claim(RETRIEVAL, "thinks, retrieval", "thinks, recent")
    yield claim(INJECTION, "thinks, hinted", "thinks, retrieval")
    yield claim(INJECTION, "KP=1,CM=0", "KP=0,CM=0")
    yield claim(INJECTION, "KP=1,CM=1", "KP=0,CM=1")
    yield claim(MERGING, "KP=0,CM=1", "KP=0,CM=0")
    yield claim(MERGING, "KP=1,CM=1", "KP=1,CM=0")
    yield claim(EXPERT, "KP=1,CM=1", "expert alone")
    yield claim(EXPERT, "KP=1,CM=1, chosen on valid", "expert alone")
    for control in ("thinks, flipped hint", "thinks, another row's hint", "thinks, another user's thoughts"):
        yield claim(PLACEBO, "thinks, hinted", control)


def _better(options: Options) -> Iterator[Claim]:
    for worse, better in zip(options.llms, options.llms[1:], strict=False):
        yield Claim(BETTER, f"thinks, retrieval @{better}", f"thinks, retrieval @{worse}", "log_loss")
        yield Claim(BETTER, f"KP=1,CM=1 @{better}", f"KP=1,CM=1 @{worse}", "log_loss")


def _retrievals(corpus: Corpus, options: Options) -> Iterator[Cell]:
    """Each way of choosing what is shown: the expert fitted on it, and each model asked at once with it."""
    ways: dict[str, dict[str, str]] = {
        "text": {"retrieval": "relevant", "vectors": "text"},
        "collaborative": {"retrieval": "relevant", "vectors": "collaborative"},
        "both": {"retrieval": "relevant", "vectors": "concat"},
        "recent": {"retrieval": "recent"},
        "hybrid": {"retrieval": "hybrid"},
        "rerank": {"retrieval": "rerank"},
        "official rule": {"retrieval": "official"},
    }
    tables = {"text": "Text-based", "collaborative": "ID-based", "both": "Concat w/o SSL"}
    for name, chosen in ways.items():
        run = asked("at once", _READS_NOTHING, options, **chosen)
        yield Cell(
            f"expert, {name}",
            cell_of(run, expert_alone, asks=False),
            axes={"retrieval": name},
            settings={"says": "expert"},
            needs=(run,),
            base="" if name == "recent" else "expert, recent",
            seeded=False,
            published=printed(corpus, ("T6", tables[name])) if name in tables else {},
        )
        for llm in options.llms:
            run = asked("at once", llm, options, **chosen)
            yield Cell(
                f"at once, {name} @{llm}",
                cell_of(run, lambda pool, rows: pool.own),
                models=(llm,),
                axes={"retrieval": name, "llm": llm},
                settings={"says": "model"},
                needs=(run,),
                base="" if name == "recent" else f"at once, recent @{llm}",
                seeded=False,
            )


_ROWS_MEAN = (
    '"At once" answers without a thought; "thinks" is the mean over the samples, after events that are recent, '
    "retrieved (retrieval) or retrieved with the expert's opinion in the prompt (hinted). KP (knowledge in the "
    "prompt) and CM (consistency merging, eq. 10; without it constant weights) are Table 5's: the samples merged with "
    "the expert."
)


def _protocol(options: Options) -> str:
    return (
        f"{at_most(options.users) or ROWS:,} test rows drawn at random from the last tenth in time (frozen by seed 0), "
        "label rating > 3 (Book-Crossing > 4), history = the user's earlier ratings; log loss clipped at 1e-7, "
        "accuracy at P > .5, AUC with DeLong's interval; the expert is a logistic regression on 20,000 train rows; "
        "alpha = .1 and epsilon = .001 as in the paper unless chosen on validation rows; texts are compared by "
        f"{options.how.embedder}. Lower log loss is better."
    )


def _base_name(corpus: Corpus) -> str:
    return Path(corpus.name.partition("?")[0]).name
