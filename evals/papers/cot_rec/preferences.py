"""Whether a written preference tells what its user takes next, with nothing trained (ours; CoT-Rec 4.1 has no table).

CoT-Rec's Table 1 shows preferences only through a recommender that is trained on them. Here a preference (the fold over
at most 50 events of s[:-1]) is held against the captions of the whole catalogue, and the next item has a place by exact
cosine. Beside it stand chance, popularity, the captions of the latest ten events as they are, the summary of the latest
batch alone (what the fold adds to it is the paper's idea), and as a placebo another user's preference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evals.artefacts import Asked
from evals.doubts import of_texts
from evals.experiment import Cell, CellFunction, Claim, Context, Experiment, Told
from evals.inputs.training import over_some, popularity
from evals.registry import Options
from evals.statistics.aggregate import summarise
from graphs.cot_rec.written import user_text
from whyrec.data.corpus import Corpus
from whyrec.data.some import in_words, named, some
from whyrec.data.split import SplitView
from whyrec.data.text import captions, histories
from whyrec.embed import open_embedder
from whyrec.records import Failure, Outcome, Ranking
from whyrec.settings import read_settings

NAME, GRAPH = "cot_rec.preferences", "cot_rec.preference"
JUDGED = "ndcg@1000"  # deep enough to tell texts apart that seldom bring the next item among the first ten
METRICS = (JUDGED, "recall@10")
DENSE = "target's percentile"
LATEST = 10  # events of the latest batch
OWN, LAST, OTHER, CAPTIONS = "preference", "latest batch alone", "another user's preference", "latest captions"
ABOUT, READS, FOLDS, POPULAR = "it is about this user", "writing helps", "folding helps", "better than popularity"
SAYS = {
    FOLDS: "paper 4.1: a preference kept up to date over the batches tells more than the latest batch",
    READS: "control: a written preference tells more than the captions it was made from",
    ABOUT: "control: a user's own preference tells more than another user's",
    POPULAR: "control: it tells more than which items are popular",
}


def preferences(corpus: Corpus, options: Options = Options()) -> Experiment:
    """What preferences tell on this data."""
    return Experiment(
        name=NAME,
        title="CoT-Rec, what a written preference tells of the next item",
        protocol=(
            "leave-two-out, test targets; the text is held against the captions of all items the user has not met by "
            f"exact cosine of {options.how.embedder}, equals in expected order; nothing is trained; preferences are "
            f"made from s[:-1], at most 50 events; {DENSE}: share of the other items that are less like the text "
            f"(chance .5); {in_words(options.users, 'users')} of the split"
        ),
        cells=(*_anchors(options), *(cell for llm in options.llms for cell in _cells(llm, options))),
        metrics=METRICS,
        claims=tuple(claim for llm in options.llms for claim in _claims(llm)),
        says=SAYS,
        measures=(DENSE,),
        measured=f"{in_words(options.users, 'users')} of the test split, and only they are asked about",
    )


def written(llm: str, options: Options, *, cap: int = 0) -> Asked:
    """The run that writes preferences of the users measured; with `cap`, from the latest events alone."""
    batch, overlap = options.folds[0]
    chosen = (
        ("split", "test"),
        ("batch", str(batch)),
        ("overlap", str(overlap)),
        *((("cap", str(cap)),) if cap else ()),
    )
    return Asked(GRAPH, llm, chosen, options.users)


def _anchors(options: Options) -> Iterator[Cell]:
    cells = {"chance": _chance, "popularity": popularity()}
    for name, function in cells.items():
        settings = {"model": name, "users": named(options.users)}
        yield Cell(name, over_some(function, options.users), settings=settings, anchor=True, seeded=False)
    settings = {"text": CAPTIONS, "embedder": options.how.embedder, "users": named(options.users)}
    yield Cell(CAPTIONS, _of_captions(options), settings=settings, base="popularity", anchor=True, seeded=False)


def _cells(llm: str, options: Options) -> Iterator[Cell]:
    for row, cap in ((OWN, 0), (LAST, LATEST), (OTHER, 0)):
        asked = written(llm, options, cap=cap)
        yield Cell(
            f"{row} @{llm}",
            _of_preferences(asked, options, shift=1 if row == OTHER else 0),
            axes={"text": row, "llm": llm},
            settings={"asked": str(asked), "embedder": options.how.embedder, "placebo": row == OTHER},
            needs=(asked,),
            base=CAPTIONS,
            anchor=row == OTHER,
            seeded=False,
            models=(llm,),
        )


def _claims(llm: str) -> Iterator[Claim]:
    for name, worse in (
        (FOLDS, f"{LAST} @{llm}"),
        (READS, CAPTIONS),
        (ABOUT, f"{OTHER} @{llm}"),
        (POPULAR, "popularity"),
    ):
        yield Claim(name, f"{OWN} @{llm}", worse, JUDGED)


def _chance(context: Context, _seed: int) -> Told:
    n = context.corpus.n_items
    return Told([Ranking(int(user), 0, n - 1, n) for user in SplitView(context.corpus, "test").users])


def _of_captions(options: Options) -> CellFunction:
    """The latest events' captions in the place of a preference."""

    def cell(context: Context, _seed: int) -> Told:
        view = SplitView(context.corpus, "test")
        users = some(view.users, options.users)
        told = histories(view, last=LATEST)
        texts = {int(user): told[int(np.searchsorted(view.users, user))] for user in users}
        return _nearest(context, options, texts)

    return cell


def _of_preferences(asked: Asked, options: Options, *, shift: int) -> CellFunction:
    """Users by their preference; with `shift`, by that of the user so many places further on."""

    def cell(context: Context, _seed: int) -> Told:
        results = context.artefacts.results(asked)
        index = context.corpus.user_index
        texts, failed = dict[int, str](), list[Failure]()
        for place, result in enumerate(results):
            given, user = results[(place + shift) % len(results)], int(index[result.user])
            if given.payload is None:
                failed.append(Failure(user, given.reason))
            else:
                texts[user] = user_text(given.payload)
        merges = [int(r.payload["merges"]) for r in results if r.payload is not None]
        about: dict[str, Any] = {"merges per user": round(float(np.mean(merges)), 2) if merges else 0.0}
        return _nearest(context, options, texts, failed=failed, about=about)

    return cell


def _nearest(
    context: Context, options: Options, texts: dict[int, str], *, failed: Sequence[Failure] = (), about: Any = None
) -> Told:
    """Where each user's target comes among the items not met, by likeness to the user's text."""
    if not texts:
        return Told(list(failed))
    corpus, view = context.corpus, SplitView(context.corpus, "test")
    cache = options.cache or read_settings().home / "embedders"
    items = captions(corpus)
    embedder = open_embedder(options.how.embedder, fit_on=items, cache=cache)
    near_NI = embedder.embed(list(texts.values())) @ embedder.embed(items).T
    rows: list[Outcome] = [*failed]
    shares = []
    for user, near_I in zip(texts, near_NI, strict=True):
        target, rivals = view.target(user), np.ones(corpus.n_items, dtype=bool)
        rivals[view.history(user) - 1] = False
        rivals[target - 1] = False
        ours, others = near_I[target - 1], near_I[rivals]
        better, ties = int((others > ours).sum()), int((others == ours).sum())
        rows.append(Ranking(user, better, ties, len(others) + 1))
        shares.append(1 - (better + ties / 2) / max(1, len(others)))
    dense = {DENSE: summarise(np.array(shares), unscored=len(failed))}
    return Told(rows, about=about or {}, measures=dense, doubts=of_texts(texts.values(), "preference"))
