"""PULSE Figure 3: do behaviours and their own rationales meet in thought space? The picture, and its numbers.

The paper shows a t-SNE before and after contrastive training. A projection can show anything, so the numbers stand
beside it, over held-out users only (spec 9.2, PUL-F3): mean cosine of a behaviour with its own rationale and with those
of others, alignment, uniformity, and the reciprocal rank of its own rationale among 11 and among all held out. The
space is trained here, from the rationales of a pulse.rationale run, once per seed.

The users measured are a tenth of all, the same for every seed. Training sees nothing of them: it stops by a tenth of
the *others*, for a best epoch chosen by the numbers reported would flatter them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from evals.aggregate import Summary, summarise
from evals.artefacts import Asked
from evals.experiment import BELOW, Cell, Claim, Context, Experiment, Told
from evals.metrics import Floats
from evals.pulse import rationales
from evals.pulse_picture import draw
from evals.registry import Options
from graphs.thoughts import pairs_from
from rec_models.thought_fit import Pairs, fit_space, split_users
from rec_models.thought_space import ThoughtSpace
from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.embed import Vectors, open_embedder
from whyrec.records import Ranking

NAME = "pulse.figure_3"
OWN, OTHERS, ALIGNED, UNIFORM, AMONG_11 = (
    "cos to own",
    "cos to others",
    "alignment",
    "uniformity",
    "MRR among 11",
)
MOST = 1000  # rationales that a behaviour looks among
_NEGATIVES = 10
_MEASURED = 0.1  # share of the users
_DRAW = 0  # of the users measured
LEARNT = "training brings own rationales nearer"


def figure_3(corpus: Corpus, options: Options = Options()) -> Experiment:
    """The numbers of Figure 3 before and after training; the picture goes beside the cache of embedders."""
    return Experiment(
        name=NAME,
        title="PULSE Figure 3, behaviours and rationales before and after contrastive training",
        protocol=(
            "rationales and behaviours of the train split, s[:-3] -> s[-3]; numbers over a tenth of the users, of whom "
            "training sees nothing (it stops by a tenth of the others) and whose behaviour texts look for their own "
            f"rationale among theirs, at most {MOST:,}; alignment "
            "is the mean squared distance of a behaviour to its own rationale, uniformity the log of the mean of "
            "exp(-2 d^2) over pairs of behaviours (lower spreads wider); heads over the embedder's frozen vectors."
        ),
        cells=tuple(cell for llm in options.llms for cell in _cells(llm, options)),
        metrics=(f"mrr@{MOST}", "hr@1"),
        claims=tuple(Claim(LEARNT, f"after @{llm}", f"before @{llm}", f"mrr@{MOST}") for llm in options.llms),
        says={
            LEARNT: "paper 4.1: after training, positives concentrate near their behaviours and negatives drift away"
        },
        measures=(OWN, OTHERS, ALIGNED, UNIFORM, AMONG_11),
    )


def _cells(llm: str, options: Options) -> Iterator[Cell]:
    asked = rationales(llm)
    for when in ("before", "after"):
        yield Cell(
            f"{when} @{llm}",
            partial(_measured, asked=asked, options=options, when=when),
            axes={"training": when, "llm": llm},
            settings={"graph": str(asked), "when": when, "embedder": options.how.embedder, "measured": "apart"},
            needs=(asked,),
            base="" if when == "before" else f"before @{llm}",
        )


def _measured(context: Context, seed: int, *, asked: Asked, options: Options, when: str) -> Told:
    """Place users whom training does not see, before or after it; measure and draw."""
    view = SplitView(context.corpus, "train")
    pairs = pairs_from(view, (r.payload for r in context.artefacts.results(asked) if r.payload is not None))
    embedder = open_embedder(options.how.embedder, fit_on=captions(context.corpus), cache=options.cache)
    space = ThoughtSpace.over(embedder)
    learners, measured = split_users(pairs.users, _MEASURED, _DRAW)
    measured = measured[:MOST]
    shown = Shown.of(space, pairs, measured)
    about: dict[str, object] = {"pairs": len(pairs), "measured": len(measured)}
    if when == "after":
        before, began = shown, time.perf_counter()
        report = fit_space(space, pairs.of(learners), seed=seed)
        shown = Shown.of(space, pairs, measured)
        about |= {"best epoch": report.best_epoch, "fit seconds": round(report.seconds, 2)}
        about[BELOW] = (
            f"seed {seed} learnt from {report.pairs:,} users and stopped by {report.held_out:,} others, best epoch "
            f"{report.best_epoch} of {len(report.losses)}: {report.seconds:.1f} CPU seconds, "
            f"{time.perf_counter() - began:.1f} by the clock, embedding included."
        )
        if options.cache is not None:
            name = f"{NAME}.{Path(context.corpus.name).name}.{asked.llm}.seed{seed}.png"
            title = (
                f"{context.corpus.name}, rationales by {asked.llm}, seed {seed}: {len(measured)} users not trained on"
            )
            path = options.cache.parent / "figures" / name
            about["picture"] = draw(before, shown, path, title=title).name
    return Told(shown.rankings(), about=about, measures=shown.measures(seed))


@dataclass(frozen=True, eq=False)
class Shown:
    """Points of held-out users: float32[N, P] each, and which rationales are right answers of whom, bool[N, N]."""

    users: tuple[int, ...]
    behaviours: Vectors
    rationales: Vectors
    same: np.ndarray

    @classmethod
    def of(cls, space: ThoughtSpace, pairs: Pairs, rows: np.ndarray) -> Shown:
        """The points of some rows of the pairs."""
        some = pairs.of(rows)
        return cls(
            tuple(some.users.tolist()),
            space.behaviours(some.behaviours),
            space.rationales(some.rationales),
            some.same(),
        )

    def rankings(self) -> list[Ranking]:
        """Where each behaviour finds its own rationale; other right answers are no rivals."""
        cosine = self.behaviours @ self.rationales.T
        own = np.diag(cosine)[:, None]
        better, equal = ((cosine > own) & ~self.same).sum(1), ((cosine == own) & ~self.same).sum(1)
        columns = zip(self.users, better.tolist(), equal.tolist(), strict=True)
        return [Ranking(user, b, e, len(self.users)) for user, b, e in columns]

    def measures(self, seed: int) -> dict[str, Summary]:
        """The numbers beside the picture."""
        cosine = (self.behaviours @ self.rationales.T).astype(np.float64)
        own = np.diag(cosine)
        others = np.where(self.same, np.nan, cosine)
        distance = 2 - 2 * (self.behaviours @ self.behaviours.T).astype(np.float64)
        apart = np.exp(-2 * distance)[~np.eye(len(own), dtype=bool)].reshape(len(own), -1).mean(1)
        spread = summarise(apart)
        mean, low, high = (math.log(max(v, 1e-12)) for v in (spread.mean, spread.low, spread.high))
        return {
            OWN: summarise(own),
            OTHERS: summarise(np.nanmean(others, axis=1)),
            ALIGNED: summarise(2 - 2 * own),
            UNIFORM: Summary(mean, low, high, spread.n),
            AMONG_11: summarise(self._among_11(cosine, seed)),
        }

    def _among_11(self, cosine: Floats, seed: int) -> Floats:
        """Reciprocal rank of the own rationale among ten drawn ones, equals in the middle."""
        draw = np.random.default_rng(seed)
        found = np.empty(len(cosine))
        for row, line in enumerate(cosine):
            rivals = np.flatnonzero(~self.same[row])
            some = line[draw.choice(rivals, min(_NEGATIVES, len(rivals)), replace=False)]
            found[row] = 1 / (1 + (some > line[row]).sum() + (some == line[row]).sum() / 2)
        return found
