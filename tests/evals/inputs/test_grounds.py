"""What a data set has and lacks is read from the data; which sets only exercise code is marked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from evals.inputs.grounds import holds, unjudged
from whyrec.data.generated.facts import make as facts
from whyrec.data.generated.world import make


def test_texts_that_are_missing_are_said() -> None:
    corpus = make(users=30, items=40).corpus
    bare = replace(
        corpus,
        catalogue=corpus.catalogue.with_columns(
            pl.lit("a").alias("title"),
            pl.lit("").alias("description"),
            pl.lit("").alias("brand"),
            pl.Series("categories", [[]] * 40, pl.List(str)),
        ),
        reviews=None,
        ratings=np.full(corpus.n_interactions, np.nan, dtype=np.float32),
    )
    assert (
        holds(bare)
        == "Its items and events have titles (100%), and no descriptions, brands, categories, ratings or reviews."
    )
    one = bare.catalogue.with_columns(pl.Series("description", ["a thing", *[""] * 39]))
    assert "descriptions (2.5% only)" in holds(replace(bare, catalogue=one))
    none = bare.catalogue.with_columns(pl.lit("").alias("title"))
    assert holds(replace(bare, catalogue=none)).startswith("Its items have ids alone, and no titles,")
    hidden = replace(bare, notes={"titles": "bare"})
    assert holds(hidden).endswith("Titles are anonymous (titles=bare).")
    assert holds(facts().questions) == ""


def test_generated_data_and_marked_samples_carry_no_verdict() -> None:
    corpus = make(users=30, items=40).corpus
    assert unjudged(corpus) == "the data are generated" == unjudged(facts().questions)
    for name in ("mind_small_sample", "/somewhere/mind_small_sample?dedup=no"):
        assert "only exercises the code" in unjudged(replace(corpus, name=name))
    for name in ("ml-1m", "clicks.csv?user=who", "amazon14_beauty"):
        assert unjudged(replace(corpus, name=name)) == ""
