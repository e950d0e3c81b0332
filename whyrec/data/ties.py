"""What an order that only the file decides is worth: the same corpus with tied events shuffled (spec 1.1).

Amazon's times are whole days, so the order of one day's purchases is arbitrary, and on Beauty it decides 43 % of the
test targets. Tables carry a row measured on a shuffled corpus; its distance to the usual row is that worth.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from whyrec.data.corpus import NO_TIME, Corpus


def shuffled(corpus: Corpus, seed: int) -> Corpus:
    """The corpus with each run of equal known times of a user in random order; an event without a time stays put.

    Raises nothing; a corpus without times comes back with nothing moved. The name and notes say what was done.
    """
    n = corpus.n_interactions
    new_run = np.ones(n, dtype=bool)
    times = corpus.moments
    if times is not None:
        new_run[1:] = (times[1:] != times[:-1]) | (times[1:] == NO_TIME)
        new_run[corpus.offsets[:-1][corpus.lengths > 0]] = True
    row = np.lexsort((np.random.default_rng(seed).random(n), np.cumsum(new_run)))
    return dataclasses.replace(
        corpus,
        name=f"{corpus.name} (ties shuffled, seed {seed})",
        items=corpus.items[row],
        times=None if corpus.times is None else corpus.times[row],
        nanos=None if corpus.nanos is None else corpus.nanos[row],
        ratings=None if corpus.ratings is None else corpus.ratings[row],
        reviews=None if corpus.reviews is None else corpus.reviews.gather(row),
        notes={**corpus.notes, "ties shuffled with seed": seed},
    )
