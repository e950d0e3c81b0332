"""PULSE Figure 3: do behaviours and their own rationales meet in thought space? The picture, and its numbers.

The paper shows a t-SNE before and after contrastive training. A projection can show anything, so the numbers stand
beside it, over held-out users only (spec 9.2, PUL-F3): mean cosine of a behaviour with its own rationale and with those
of others, alignment, uniformity, and the reciprocal rank of its own rationale among 11 and among all held out. The
space is trained here, from the rationales of a pulse.rationale run, once per seed.

The users measured are a tenth of all, the same for every seed. Training sees nothing of them: it stops by a tenth of
the *others*, for a best epoch chosen by the numbers reported would flatter them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from evals.artefacts import Asked
from evals.experiment import BELOW, Cell, Claim, Context, Experiment, Told
from evals.papers.pulse.figure_3_picture import draw
from evals.papers.pulse.figure_3_points import ALIGNED, AMONG_11, OTHERS, OWN, UNIFORM, Points
from evals.papers.pulse.tables import rationales
from evals.registry import Options
from graphs.shared.thought_spaces import pairs_from
from rec_models.thought_space.fit import fit_space, split_users
from rec_models.thought_space.space import ThoughtSpace
from whyrec.data.corpus import Corpus
from whyrec.data.some import in_words, named, some
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.embed import embedder_identity, open_embedder

NAME = "pulse.figure_3"
MOST = 1000  # rationales that a behaviour looks among
_MEASURED = 0.1  # share of the users
_DRAW = 0  # of the users measured
LEARNT = "training brings own rationales nearer"


def figure_3(corpus: Corpus, options: Options = Options()) -> Experiment:
    """The numbers of Figure 3 before and after training; the picture goes beside the cache of embedders."""
    return Experiment(
        name=NAME,
        title="PULSE Figure 3, behaviours and rationales before and after contrastive training",
        protocol=(
            "rationales and behaviours of drawn users of the train split, s[:-3] -> s[-3]; numbers over a tenth of "
            "them, of whom training sees nothing (it stops by a tenth of the others) and whose behaviour texts look "
            f"for their own rationale among theirs, at most {MOST:,}; alignment "
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
        measured=_of_whom(options),
        of_split=False,
    )


def _of_whom(options: Options) -> str:
    """Whom the numbers are over."""
    apart = f"a tenth of the users that have a rationale, at most {MOST:,}, of whom training sees nothing"
    if options.users is None:
        return apart
    return (
        f"{in_words(options.users, 'users')} among {apart}; training is the same whatever --users says, and among "
        "fewer rationales one's own is found more easily"
    )


def _cells(llm: str, options: Options) -> Iterator[Cell]:
    asked = rationales(llm)
    for when in ("before", "after"):
        yield Cell(
            f"{when} @{llm}",
            partial(_measured, asked=asked, options=options, when=when),
            axes={"training": when, "llm": llm},
            settings={
                "graph": str(asked),
                "when": when,
                "embedder": embedder_identity(options.how.embedder),
                "measured": "apart" if options.users is None else f"apart, {named(options.users)}",
            },
            needs=(asked,),
            base="" if when == "before" else f"before @{llm}",
            models=(llm,),
        )


def _measured(context: Context, seed: int, *, asked: Asked, options: Options, when: str) -> Told:
    """Place users whom training does not see, before or after it; measure and draw."""
    view = SplitView(context.corpus, "train")
    pairs = pairs_from(view, (r.payload for r in context.artefacts.results(asked) if r.payload is not None))
    embedder = open_embedder(options.how.embedder, fit_on=captions(context.corpus), cache=options.cache)
    space = ThoughtSpace.over(embedder)
    learners, measured = split_users(pairs.users, _MEASURED, _DRAW)
    wanted = some(np.unique(pairs.users[measured]), options.users)[:MOST]
    measured = measured[np.isin(pairs.users[measured], wanted)]
    shown = Points.of(space, pairs, measured)
    about: dict[str, object] = {"pairs": len(pairs), "measured": len(measured)}
    if when == "after":
        before, began = shown, time.perf_counter()
        report = fit_space(space, pairs.of(learners), seed=seed)
        shown = Points.of(space, pairs, measured)
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
