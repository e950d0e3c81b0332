"""The bar says where a fit is."""

from __future__ import annotations

import io

from rich.console import Console

from rec_models.fit import FitSettings, fit
from rec_models.progress import EpochBar
from rec_models.sequential.sasrec import SASRec, SASRecSettings


def test_a_fit_draws_its_epochs(ragged):
    drawn = io.StringIO()
    settings = FitSettings(epochs=3, users_per_step=16)
    model = SASRec(40, SASRecSettings(width=8, heads=1, blocks=1))
    with EpochBar(settings, "ragged, seed 1", console=Console(file=drawn, width=120, force_terminal=True)) as bar:
        report = fit(model, ragged, settings=settings, on_epoch=bar)
    assert "ragged, seed 1" in drawn.getvalue()
    assert "3/3" in drawn.getvalue()
    assert f"loss {report.rows[-1].loss:.3f}" in drawn.getvalue()
    assert f"best epoch {report.best_epoch}" in drawn.getvalue()
