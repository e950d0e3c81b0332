"""The quality dial: its statistics on outcomes whose slope is known, and a tiny real dial from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals.dials import run as dials_measured
from evals.dials.catalogue import DIALS, LEVELS, dial
from evals.dials.numbers import beside, beyond, rises, slope
from evals.dials.page import dial_page, render, verdict
from evals.dials.run import Dialled, Scale, measure, read, write
from evals.registry import builder
from evals.statistics.aggregate import over_seeds
from evals.summary import Summary
from whyrec.data import open_data
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings

FIVE = (0.0, 0.25, 0.5, 0.75, 1.0)
ROOT = Path(__file__).resolve().parents[3]


def outcomes(rng, *, steep=0.0, worlds=5, users=200, noise=0.4, between=0.05):
    """[S, L]: means over users of worlds that differ, each user's luck partly the same at all levels."""
    base = rng.normal(0.3, between, (worlds, 1))
    luck = rng.normal(0, noise, (worlds, users, 1)) + rng.normal(0, noise, (worlds, users, len(LEVELS)))
    return base + steep * np.array(LEVELS) + luck.mean(axis=1)


def test_a_flat_dial_raises_few_false_alarms():
    rng = np.random.default_rng(1)
    p = np.array([slope(LEVELS, outcomes(rng), draws=499).p for _ in range(400)])
    assert 0.02 < (p <= 0.05).mean() < 0.085, "the test keeps its level although worlds differ and users repeat"
    assert (p <= 0.01).mean() < 0.03


def test_a_real_slope_is_found_and_lies_in_its_interval():
    rng = np.random.default_rng(2)
    found = [slope(LEVELS, outcomes(rng, steep=0.2), draws=499) for _ in range(200)]
    assert all(f.p < 0.01 and f.value > 0 for f in found)
    assert 0.90 < np.mean([f.low <= 0.2 <= f.high for f in found]) < 0.99
    assert np.mean([f.value for f in found]) == pytest.approx(0.2, abs=0.01)


def test_an_exact_slope_is_the_seeds_mean_and_worlds_do_not_matter():
    values = np.array([[0.1 + 0.3 * x for x in FIVE], [0.7 + 0.1 * x for x in FIVE]])
    found = slope(FIVE, values)
    assert found.value == pytest.approx(0.2) and found.seeds == pytest.approx((0.3, 0.1)) and found.n == 10
    moved = slope(FIVE, values + np.array([[5.0], [-3.0]]))
    assert (moved.value, moved.p) == pytest.approx((found.value, found.p))
    down = slope(FIVE, -values)
    assert down.value == pytest.approx(-0.2) and down.p == found.p, "the test is two-sided"
    assert rises(found) and not rises(down) and rises(down, lower=True)


def test_nothing_at_all_is_no_slope():
    found = slope(LEVELS, np.full((5, len(LEVELS)), 0.25), draws=99)
    assert found.value == 0 and found.p == 1 and not rises(found)


def test_few_worlds_cannot_prove_a_slope():
    assert slope((0.0, 1.0), np.array([[0.0, 1.0], [0.0, 1.0]]), draws=999).p > 0.4, "one in two, at the very best"
    with pytest.raises(ValueError, match="two seeds"):
        slope(LEVELS, np.zeros((1, len(LEVELS))))


def test_intervals_over_worlds_hold_the_noise_of_users_and_of_worlds():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        start = outcomes(rng, users=100, between=0.1)[:, 0]
        found = over_seeds(start.tolist())
        inside += found.low <= 0.3 <= found.high
    assert 0.92 < inside / 400 < 0.98


@pytest.mark.parametrize(
    ("low", "high", "lower", "says"),
    [
        (0.01, 0.02, False, "above"),
        (-0.01, 0.02, False, "not above"),
        (-0.03, -0.02, False, "below"),
        (0.01, 0.02, True, "below"),
        (-0.03, -0.02, True, "above"),
        (-0.01, 0.02, True, "not above"),
    ],
)
def test_what_a_difference_at_the_lowest_level_means(low, high, lower, says):
    assert beside(Summary((low + high) / 2, low, high, 5), lower=lower) == says


def test_a_difference_is_paired_by_world():
    worlds = np.array([0.1, 0.5, 0.9])
    found = beyond(worlds + 0.02, worlds)
    assert found.mean == pytest.approx(0.02) and found.low == pytest.approx(0.02), "what worlds share is no noise"


def test_every_dial_names_cells_that_exist():
    for which in DIALS:
        data = open_data(replace(which, users=60).data(0), settings=read_settings()).data
        experiment = builder(which.experiment)(data, which.options(LEVELS))
        names = {cell.name for cell in experiment.cells}
        assert set(which.cells(LEVELS)) <= names, which.name
        measured = experiment.measures if which.measure else experiment.metrics
        assert which.metric in measured and (which.without or which.constant)


def test_a_random_order_has_the_bias_that_drawing_shows():
    _name, value = dial("cot_rec.bias").constant
    places = np.random.default_rng(4).integers(1, 11, size=(100_000, 10))
    assert value == pytest.approx(np.abs(places - places.mean(axis=1, keepdims=True)).mean(), abs=0.01)


@pytest.mark.parametrize(
    ("scale", "kind"),
    [
        ({"seeds": (0,)}, UsageError),
        ({"levels": (0.5,)}, UsageError),
        ({"levels": (0.0, 0.0, 1.0)}, UsageError),
        ({"levels": (0.0, 1.5)}, UsageError),
        ({"setting": "rough"}, UnknownNameError),
    ],
)
def test_what_is_no_dial_is_refused(scale, kind):
    with pytest.raises(kind):
        Scale(**scale)
    with pytest.raises(UsageError, match="one setting"):
        dial("hotpotqa.cot").data(0, setting="hard")
    with pytest.raises(UnknownNameError, match=r"pulse"):
        dial("puls")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return read_settings(home=tmp_path_factory.mktemp("home"))


def test_a_tiny_dial_from_end_to_end(settings, tmp_path):
    scale = Scale((0, 1), (0.0, 1.0), users=40)
    found = measure(dial("hotpotqa.cot"), settings, scale)
    assert found.data == ("facts:questions=40,seed=0", "facts:questions=40,seed=1")
    assert [[p.n for p in of_seed] for of_seed in found.method.points] == [[40, 40], [40, 40]]
    assert found.method.means[1].mean == 1.0 and found.method.means[0].mean < 0.3
    assert found.slope.value == pytest.approx(found.method.means[1].mean - found.method.means[0].mean)
    first = found.without[0]
    assert first.start.mean == pytest.approx(found.method.means[0].mean - np.mean(first.points))
    path = write(tmp_path / "dial", found)
    assert path.name == "hotpotqa.cot.json" and read(path).method.row == "CoT"
    page = render(tmp_path / "dial", tmp_path / "dial.md", tmp_path / "img")
    figure = tmp_path / "img" / "dial.hotpotqa.cot.png"
    assert 5_000 < figure.stat().st_size < 60_000
    assert "(img/dial.hotpotqa.cot.png)" in page.read_text() and "world 1" in page.read_text()
    assert measure(dial("hotpotqa.cot"), settings, scale).model_dump() == found.model_dump(), "read, not run again"


def test_a_tiny_dial_over_users_whose_outcome_is_a_measure(settings):
    found = measure(dial("cot_rec.bias"), settings, Scale((0, 1), (0.0, 1.0), users=80))
    assert found.lower and found.without[0].row == "a random order"
    assert found.method.means[1].mean < found.method.means[0].mean and found.slope.value < 0
    ranker = measure(dial("cot_rec.ranker"), settings, Scale((0, 1), (0.0, 1.0), users=80))
    assert [w.row for w in ranker.without] == list(dial("cot_rec.ranker").without)
    assert ranker.less is not None and ranker.less.row == "item-CF, LLM"


def test_a_measure_that_does_not_exist_is_a_sentence(monkeypatch, settings):
    monkeypatch.setattr(dials_measured, "replicate", lambda *_a, **_k: _Empty())
    with pytest.raises(UsageError, match="too small"):
        measure(dial("cot_rec.bias"), settings, Scale((0, 1), (0.0, 1.0)))


class _Empty:
    @property
    def runs(self):
        class Runs(dict):
            def __missing__(self, _name):
                return type("Run", (), {"measures": {}, "test": {}, "revision": ""})()

        return Runs()


def test_a_verdict_says_what_holds_and_what_does_not(settings):
    found = measure(dial("hotpotqa.cot"), settings, Scale((0, 1), (0.0, 1.0), users=40))
    assert verdict(found).startswith("**No result**, only a quick look (40 users instead of 150, 2 worlds instead of 5")
    whole = found.model_copy(update={"quick": ""})
    assert verdict(whole).startswith("**It does not turn.**"), "two worlds with two levels prove nothing"
    better = whole.model_copy(update={"rises": True})
    assert verdict(better).startswith("**It turns.** F1 rises from")
    assert "title most like the question" in verdict(better)


def test_the_page_is_what_its_files_say():
    docs = ROOT / "docs"
    assert (docs / "dial.md").read_text(encoding="utf-8") == dial_page(docs / "results" / "dial"), (
        "docs/dial.md is stale: run `whyrec dial --render`"
    )
    for path in (docs / "results" / "dial").glob("*.json"):
        one = Dialled.model_validate(json.loads(path.read_text()))
        figure = docs / "img" / f"dial.{one.slug}.png"
        assert figure.exists() and figure.stat().st_size < 60_000
