"""Mechanisms: their statistics and sentences on made-up outcomes, and a tiny real one from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals.inputs.outcomes import Outcomes
from evals.mechanisms import page
from evals.mechanisms.catalogue import MECHANISMS, SEEDS, Arm, Mechanism, mechanism
from evals.mechanisms.numbers import LEAST_WORLDS, detectable, gain, pooled, says
from evals.mechanisms.run import Measured, Scale, Worlds, judged, measure, read, write
from evals.registry import build
from evals.statistics.aggregate import over_seeds, summarise
from whyrec.data.generated.world import load
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings

TRUE = "simulated:1"
MADE_UP = Mechanism(
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


def worlds(llm: str, method: float, other: float, placebo: float, *, n: int = 5) -> Worlds:
    rows = tuple(
        {
            "method": ranked(method, seed=10 * w),
            "other": ranked(other, seed=10 * w + 1),
            "placebo": ranked(placebo, seed=10 * w + 2),
        }
        for w in range(n)
    )
    return Worlds(llm, rows, ({"leaves": 3.0},) * 2)


def measured(*found: Worlds, quick: str = "") -> Measured:
    return Measured(
        name=MADE_UP.name,
        setting="default",
        metric="hr@1",
        lower=False,
        embedder="lsa",
        method="method",
        others=("other",),
        placebo="placebo",
        users=200,
        seeds=(0, 1, 2, 3, 4),
        data=tuple(f"world:seed={seed}" for seed in range(5)),
        blocks=judged(MADE_UP, found),
        revision="abc",
        quick=quick,
    )


GOOD = worlds(TRUE, 0.6, 0.4, 0.1)


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


def test_users_and_worlds_have_to_agree() -> None:
    rng = np.random.default_rng(3)
    sure = gain([rng.normal(0.3, 1, 300) for _ in range(5)])
    apart, mixed = over_seeds([0.3, 0.31, 0.29, 0.3, 0.3]), over_seeds([0.9, -0.4, 0.5, 0.8, -0.3])
    assert says(sure, 0.001, apart) == "better"
    assert says(sure, 0.001, mixed) == "not told apart", "the worlds do not agree"
    assert says(sure, 0.2, apart) == "not told apart", "the users could be luck"
    lost = gain([rng.normal(-0.3, 1, 300) for _ in range(5)])
    assert says(lost, 0.001, over_seeds([-0.3, -0.31, -0.29])) == "worse"
    same = gain([np.zeros(20) for _ in range(5)])
    assert says(same, 1.0, over_seeds([0.0] * 5)) == "the same"


def test_one_wild_world_decides_nothing() -> None:
    """Many users of one lucky world are many values and one observation."""
    wild = [np.full(200, 0.5) + np.random.default_rng(0).normal(0, 0.1, 200), *(np.zeros(200) for _ in range(4))]
    users = gain(wild)
    assert users.p < 0.001
    assert says(users, users.p, over_seeds([float(w.mean()) for w in wild])) == "not told apart"


def test_p_values_are_adjusted_over_all_pairs() -> None:
    one = judged(MADE_UP, (GOOD,))[0].pairs[0]
    two = judged(MADE_UP, (GOOD, worlds("simulated:0", 0.1, 0.1, 0.1)))[0].pairs[0]
    assert two.gain == one.gain and two.p >= one.p >= one.gain.p


def test_lower_is_better_turns_the_gain() -> None:
    rows = {"method": clicked(0.4), "other": clicked(0.6), "placebo": clicked(0.3)}
    other, placebo = judged(replace(MADE_UP, metric="log_loss"), (Worlds(TRUE, (rows,) * 5),))[0].pairs
    assert other.gain.difference == pytest.approx(0.2) and other.says == "better"
    assert placebo.gain.difference == pytest.approx(-0.1) and placebo.says == "worse"


def test_only_users_scored_on_both_sides_are_compared() -> None:
    rows = {"method": ranked(0.6, seed=0), "other": ranked(0.4, seed=1, users=150), "placebo": ranked(0.1, seed=2)}
    found = Worlds(TRUE, (rows, rows))
    assert [len(g) for g in found.gains("method", "other", "hr@1")] == [150, 150]


def test_sentences() -> None:
    found = measured(GOOD)
    other, _placebo = found.blocks[0].pairs
    said = page.told(found, found.blocks[0], other)
    assert said.startswith("method beside other: **better**, +0.") and "5 of 5 worlds with a gain" in said
    assert not page.placebo_wins(found)
    assert page.placebo_wins(measured(worlds("simulated:0", 0.2, 0.2, 0.5)))
    quick = measured(GOOD, quick="24 users instead of 200")
    assert "no result, only a quick look (24 users" in page.told(quick, quick.blocks[0], quick.blocks[0].pairs[0])


def test_the_page_is_written_from_the_files_alone(tmp_path: Path) -> None:
    nothing = page.mechanisms_page(tmp_path / "none")
    assert "Not yet measured with this simulator: pulse-selection," in nothing
    path = write(tmp_path / "results", measured(GOOD, worlds("simulated:0", 0.2, 0.2, 0.2)), which=MADE_UP)
    assert read(path).blocks[0].rows["method"].n == 1000
    made = page.render(tmp_path / "results", tmp_path / "mechanisms.md").read_text()
    assert made == page.mechanisms_page(tmp_path / "results")
    for text in ("## pulse-tree", "placebo: placebo", "could show", "| leaves | 3 |", "**better**", "revision abc"):
        assert text in made, text
    for verdict in ("as claimed", "contradicted", "supported"):
        assert verdict not in made


def test_another_embedder_or_setting_has_a_file_of_its_own(tmp_path: Path) -> None:
    found = measured(GOOD)
    names = [
        write(tmp_path, found.model_copy(update=more), which=MADE_UP).name
        for more in ({}, {"embedder": "hf:minilm"}, {"setting": "hard"})
    ]
    assert names == ["pulse-tree.json", "pulse-tree.hf_minilm.json", "pulse-tree.hard.json"]
    assert page.mechanisms_page(tmp_path).count("## pulse-tree") == 3


def test_the_committed_page_is_not_stale() -> None:
    docs = Path(__file__).resolve().parents[3] / "docs"
    made = page.mechanisms_page(docs / "results" / "mechanisms")
    assert (docs / "mechanisms.md").read_text(encoding="utf-8") == made, "docs/mechanisms.md is stale: run `make docs`"


def test_every_arm_is_a_cell_of_its_experiment() -> None:
    corpus = load("world:easy,users=12,items=40").corpus
    for one in MECHANISMS:
        assert len(one.seeds) >= LEAST_WORLDS and one.seeds == SEEDS
        assert load(one.data("hard", 3, users=4)).corpus.n_items == one.items
        llm = one.models[-1]
        for arm in one.arms:
            cells = {cell.name: cell for cell in build(arm.experiment, corpus, one.options([llm])).cells}
            assert arm.cell(llm) in cells, arm
        assert one.metric in build(one.method.experiment, corpus, one.options([llm])).metrics
    assert mechanism("pulse-tree").data("default", 1, users=60) == "world:users=120,items=240,seed=1"


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="pulse-tree"):
        mechanism("pulse-trees")
    with pytest.raises(UnknownNameError, match="rough"):
        Scale(setting="rough")
    with pytest.raises(UsageError, match="seeds"):
        Scale(seeds=(0,))
    with pytest.raises(UsageError, match="two users"):
        Scale(users=1)


@pytest.mark.parametrize("name", ["pulse-selection", "rallrec-merging"])
def test_a_tiny_real_mechanism(name: str, tmp_path: Path) -> None:
    """Cells, runs and diagnostics of two small worlds; a second time nothing is run."""
    which = replace(mechanism(name), users=20, crowd=40, items=60)
    scale = Scale(seeds=(100, 101), setting="easy", llms=(TRUE,))
    settings = read_settings(home=tmp_path)
    found = measure(which, settings, scale)
    (block,) = found.blocks
    assert list(block.rows) == [arm.row for arm in which.arms] and found.data[1].endswith("seed=101")
    assert found.quick == "2 worlds instead of 5"
    assert all(row.n == block.rows[which.method.row].n > 20 for row in block.rows.values())
    if name == "pulse-selection":
        marks = block.marks
        best = marks["agreement with the true taste, best leaf"]
        assert best > marks["agreement with the true taste, any leaf"] > 0.5
    else:
        assert 0 < block.marks["mean weight of the samples by eq. 10"] < 1
    runs = sorted(p.name for p in (tmp_path / "runs").iterdir())
    assert measure(which, settings, scale) == found and sorted(p.name for p in (tmp_path / "runs").iterdir()) == runs
