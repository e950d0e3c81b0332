"""Ablations: their statistics and sentences on made-up outcomes, and a tiny real one from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals.ablations import page
from evals.ablations.catalogue import ABLATIONS, TRUTHS, Ablation, Arm, ablation
from evals.ablations.numbers import detectable, gain, over_worlds, pooled, says
from evals.ablations.run import Ablated, Scale, _overall, _Worlds, ablate, judged, read, write
from evals.inputs.outcomes import Outcomes
from evals.registry import build
from evals.statistics.aggregate import summarise
from whyrec.data.generated.world import load
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings

TRUE = TRUTHS[-1]
MADE_UP = Ablation(
    name="pulse-tree",
    title="Made up",
    says="One thing for another.",
    method=Arm("made.up", "method"),
    others=(Arm("made.up", "other"),),
    placebo=Arm("made.up", "placebo"),
    metric="hr@1",
    users=200,
    crowd=200,
    items=60,
    marks="",
)


def ranked(hits: float, *, seed: int, users: int = 200) -> Outcomes:
    """A share of users, drawn by lot, has the target first; the others have it second."""
    better = (np.random.default_rng(seed).random(users) >= hits).astype(np.int64)
    none = np.zeros(users, np.int64)
    return Outcomes(np.arange(users), better, none, none + 10, {})


def clicked(loss: float, *, users: int = 200) -> Outcomes:
    p = np.full(users, np.exp(-loss))
    return Outcomes(np.arange(users), p, np.ones(users, np.int64), np.zeros(users, np.int64), {})


def worlds(setting: str, llm: str, method: float, other: float, placebo: float) -> _Worlds:
    rows = tuple(
        {
            "method": ranked(method, seed=10 * w),
            "other": ranked(other, seed=10 * w + 1),
            "placebo": ranked(placebo, seed=10 * w + 2),
        }
        for w in range(3)
    )
    return _Worlds(setting, llm, tuple(f"world:{setting},seed={w}" for w in range(3)), rows, ({"leaves": 3.0},) * 2)


def ablated(*found: _Worlds) -> Ablated:
    return Ablated(
        name=MADE_UP.name,
        metric="hr@1",
        lower=False,
        method="method",
        others=("other",),
        placebo="placebo",
        users=200,
        seeds=(0, 1, 2),
        blocks=judged(MADE_UP, found),
        overall=tuple(_overall(MADE_UP, found)),
        revision="abc",
    )


GOOD = tuple(worlds(setting, TRUE, 0.6, 0.4, 0.1) for setting in ("easy", "default", "hard"))


def test_worlds_are_strata() -> None:
    """Worlds of unlike level widen no interval: every resample has as many users of each as there are."""
    rng = np.random.default_rng(0)
    apart = [rng.normal(0, 1, 300), rng.normal(10, 1, 300)]
    inside, across = pooled(apart), summarise(np.concatenate(apart))
    assert inside.mean == pytest.approx(across.mean) and inside.n == 600
    assert inside.high - inside.low < 0.3 * (across.high - across.low)
    assert inside.low < inside.mean < inside.high


def test_a_gain_is_found_and_none_is_not() -> None:
    rng = np.random.default_rng(1)
    some = gain([rng.normal(0.3, 1, 300) for _ in range(3)])
    assert some.p < 0.001 and some.low > 0 and some.n == 900 and some.wins > some.losses
    rejected = [gain([rng.normal(0, 1, 60) for _ in range(2)]).p < 0.05 for _ in range(40)]
    assert sum(rejected) <= 7


def test_detectable_is_what_is_detected() -> None:
    """With a gain of the size said, four of five tries are below .05."""
    rng = np.random.default_rng(2)
    size = detectable([rng.normal(5, 1, 400), rng.normal(-5, 1, 400)])
    assert size == pytest.approx(2.8 / np.sqrt(800), rel=0.1), "the worlds' own levels are no spread"
    tries = rng.normal(size, 1, (2000, 800))
    found = np.abs(tries.mean(axis=1)) / (tries.std(axis=1, ddof=1) / np.sqrt(800)) > 1.96
    assert found.mean() == pytest.approx(0.8, abs=0.04)


def test_worlds_as_the_unit() -> None:
    found, p = over_worlds([0.1, 0.2, 0.3])
    assert found.mean == pytest.approx(0.2) and p == pytest.approx(2 / 8), "three worlds cannot say more"
    assert over_worlds([0.1] * 9)[1] == pytest.approx(2 / 512)
    assert over_worlds([0.1, -0.1])[1] == 1.0
    assert over_worlds([0.1] * 20)[1] < 0.001, "drawn where there are too many to count"


def test_what_a_gain_says() -> None:
    assert [says(0.1, 0.04), says(-0.1, 0.04), says(0.1, 0.06), says(0.0, 0.0)] == [
        "as claimed",
        "contradicted",
        "not decided",
        "not decided",
    ]


def test_p_values_are_adjusted_over_the_settings() -> None:
    one = judged(MADE_UP, GOOD[:1])[0].pairs[0]
    three = judged(MADE_UP, GOOD)[0].pairs[0]
    assert three.p == pytest.approx(3 * one.p) and three.gain == one.gain
    other = judged(MADE_UP, (*GOOD[:1], worlds("easy", "simulated:0", 0.1, 0.1, 0.1)))[0].pairs[0]
    assert other.p == one.p, "another model is another question"


def test_lower_is_better_turns_the_gain() -> None:
    rows = {"method": clicked(0.4), "other": clicked(0.6), "placebo": clicked(0.3)}
    found = _Worlds("easy", TRUE, ("a", "b"), (rows, rows))
    other, placebo = judged(replace(MADE_UP, metric="log_loss"), (found,))[0].pairs
    assert other.gain.difference == pytest.approx(0.2) and other.says == "as claimed"
    assert placebo.gain.difference == pytest.approx(-0.1) and placebo.says == "contradicted"


def test_only_users_scored_on_both_sides_are_compared() -> None:
    rows = {"method": ranked(0.6, seed=0), "other": ranked(0.4, seed=1, users=150), "placebo": ranked(0.1, seed=2)}
    found = _Worlds("easy", TRUE, ("a", "b"), (rows, rows))
    assert [len(g) for g in found.gains("method", "other", "hr@1")] == [150, 150]


def test_sentences() -> None:
    found = ablated(*GOOD)
    said = page.verdict(found, TRUE, "other")
    assert said.startswith("method against other: **as claimed** in all settings. Over all worlds +0.1")
    assert "9 of 9 with a gain" in said and page.as_claimed(found)
    assert page.placebo_verdict(found) == "The placebo wins nowhere. With true reasons it loses in 3 of 3 settings."
    mixed = ablated(GOOD[0], worlds("hard", TRUE, 0.5, 0.5, 0.1))
    assert "**as claimed** in easy; **not decided** in hard" in page.verdict(mixed, TRUE, "other")
    assert not page.as_claimed(mixed)


def test_a_placebo_that_wins_is_said_whatever_the_model() -> None:
    found = ablated(*GOOD, worlds("easy", "simulated:0", 0.2, 0.2, 0.5))
    assert page.placebo_verdict(found).startswith("**The placebo wins** in easy with simulated:0.")
    assert not page.as_claimed(found)


def test_the_page_is_written_from_the_files_alone(tmp_path: Path) -> None:
    assert "No ablation has been measured yet." in page.ablations_page(tmp_path / "none")
    found = ablated(*GOOD, worlds("easy", "simulated:0", 0.2, 0.2, 0.2))
    path = write(tmp_path / "results", found)
    assert read(path).blocks[0].rows["method"].n == 600
    made = page.render(tmp_path / "results", tmp_path / "ablations.md").read_text()
    assert made == page.ablations_page(tmp_path / "results")
    for text in ("## pulse-tree", "placebo: placebo", "could show", "| leaves | 3 |", "as claimed", "revision abc"):
        assert text in made, text
    assert made.index("| easy | simulated:1 |") < made.index("| easy | simulated:0 |"), "the claim's model first"


def test_a_model_of_ones_own_is_shown_too(tmp_path: Path) -> None:
    write(tmp_path, ablated(*GOOD, worlds("easy", "extractive", 0.2, 0.2, 0.2)))
    assert "- another model (`extractive`): method against other" in page.ablations_page(tmp_path)


def test_the_committed_page_is_not_stale() -> None:
    docs = Path(__file__).resolve().parents[3] / "docs"
    made = page.ablations_page(docs / "results" / "ablations")
    assert (docs / "ablations.md").read_text(encoding="utf-8") == made, (
        "docs/ablations.md is stale: run `whyrec ablate --render`"
    )


def test_every_arm_is_a_cell_of_its_experiment() -> None:
    corpus = load("world:easy,users=12,items=40").corpus
    for one in ABLATIONS:
        assert load(one.data("hard", 3, users=4)).corpus.n_items == one.items
        for arm in one.arms:
            cells = {cell.name: cell for cell in build(arm.experiment, corpus, one.options([one.true])).cells}
            assert arm.cell(one.true) in cells, arm
        assert one.metric in build(one.method.experiment, corpus, one.options([one.true])).metrics
    assert ablation("pulse-tree").data("easy", 1, users=120) == "world:easy,users=240,items=400,seed=1"


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="pulse-tree"):
        ablation("pulse-trees")
    with pytest.raises(UnknownNameError, match="rough"):
        Scale(settings=("rough",))
    with pytest.raises(UsageError, match="seeds"):
        Scale(seeds=(0,), settings=("easy",))
    with pytest.raises(UsageError, match="two users"):
        Scale(users=1)


@pytest.mark.parametrize("name", ["pulse-selection", "rallrec-merging"])
def test_a_tiny_real_ablation(name: str, tmp_path: Path) -> None:
    """Cells, runs and diagnostics of two small worlds; a second time nothing is run."""
    which = replace(ablation(name), users=20, crowd=40, items=60)
    scale = Scale(seeds=(100, 101), settings=("easy",), llms=(TRUE,))
    settings = read_settings(home=tmp_path)
    found = ablate(which, settings, scale)
    (block,) = found.blocks
    assert list(block.rows) == [arm.row for arm in which.arms] and block.data[1].endswith("seed=101")
    assert all(row.n == block.rows[which.method.row].n > 20 for row in block.rows.values())
    if name == "pulse-selection":
        marks = block.marks
        assert block.rows["another user's reason"].mean < block.rows["thought space"].mean
        assert (
            marks["agreement with the true taste, best leaf"] > marks["agreement with the true taste, any leaf"] > 0.8
        )
        assert (
            marks["HR@1 of 40 users a world, knows the item"] >= marks["HR@1 of 40 users a world, picked by the space"]
        )
        assert marks["HR@1 of 40 users a world, picked by the space"] == pytest.approx(block.rows["thought space"].mean)
    else:
        assert block.marks["rows whose samples differ"] == 0.0, "who is always right never differs"
        assert 0 < block.marks["mean weight of the samples by eq. 10"] < 1
    runs = sorted(p.name for p in (tmp_path / "runs").iterdir())
    assert ablate(which, settings, scale) == found and sorted(p.name for p in (tmp_path / "runs").iterdir()) == runs
