"""PULSE's tables on a small world: rows are what they say, leaks are called leaks, the figure's numbers are known."""

from __future__ import annotations

import numpy as np
import pytest

from evals.evaluate import Place, evaluate, plan
from evals.experiment import Context
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.papers.pulse import figure_3
from evals.papers.pulse import tables as pulse
from evals.papers.pulse.figure_3_points import ALIGNED, AMONG_11, OTHERS, OWN, UNIFORM, Points
from evals.registry import Options, build
from graphs.engine.job import How
from graphs.shared.placements import places_rotated
from whyrec.data.generated.world import make
from whyrec.data.split import SplitView
from whyrec.records import Failure, Ranking
from whyrec.runs import Result
from whyrec.settings import read_settings

WORLD = make(users=60, items=80)


def table(experiment, tmp_path, names=None):
    how = How(settings=read_settings(), world=WORLD)
    context = Context(WORLD.corpus, GraphArtefacts(WORLD.corpus, how=how), tmp_path, say=lambda _: None)
    place = Place(read_settings().home, tmp_path)
    cells = [c for c in experiment.cells if names is None or c.name in names]
    return evaluate(experiment, context, place, jobs=plan(experiment, context, place, seeds=(1,), cells=cells))


def test_table_4_has_every_selector_beside_anchors_on_the_same_candidates(tmp_path):
    experiment = build(pulse.TABLE, WORLD.corpus, Options(users=20))
    found = table(experiment, tmp_path)
    rows = found.rows
    names = [*pulse.SELECTORS, pulse.NO_REASON, pulse.PLACEBO]
    assert set(rows) == {"chance", "popularity", "item-CF", *(f"{n} @extractive" for n in names)}
    assert all(row.users["hr@1"].n == 20 and row.users["hr@1"].unscored == 0 for row in rows.values())
    assert rows["chance"].users["hr@1"].mean == pytest.approx(0.1)
    measured = rows[f"{pulse.NO_REASON} @extractive"].runs[0]
    assert set(measured.measures) == {"MAPB", "MAPB by rotations"} and measured.about["labels read by"] == "logprobs"
    assert {v.verdict for v in found.verdicts} == {"no verdict"}, "a double in a model's place"
    printed = {c.name: c.published for c in experiment.cells}
    assert printed["thought space @extractive"]["PULSE Luxury_Beauty"]["hr@1"] == 0.9339
    assert printed["base reason @extractive"]["PULSE Video_Games"]["hr@1"] == 0.8883


def test_a_better_model_is_above_chance_and_a_true_reason_above_anothers(tmp_path):
    options = Options(llms=("simulated:1",), users=40)
    names = {"chance", *(pulse.name_of(r, "simulated:1") for r in ("thought space", pulse.PLACEBO))}
    rows = table(build(pulse.TABLE, WORLD.corpus, options), tmp_path, names).rows
    ours = rows[pulse.name_of("thought space", "simulated:1")].users["hr@1"].mean
    assert ours > 0.2 and ours > rows[pulse.name_of(pulse.PLACEBO, "simulated:1")].users["hr@1"].mean - 0.05


def test_every_leaking_cell_is_called_so(tmp_path):
    experiment = build(pulse.LEAKS, WORLD.corpus, Options(users=6))
    cells = [c for c in experiment.cells if not c.anchor]
    assert len(cells) == 8 * 2 * 2
    for cell in cells:
        leaky = any("i-know-this-leaks" in value for value in cell.axes.values())
        assert cell.name.startswith("LEAKS: ") == leaky
        assert ("i-know-this-leaks" in cell.settings["graph"]) == leaky
    oracle = next(
        c for c in cells if c.name.startswith("LEAKS: behaviour all, rationales test, similar all, selector s")
    )
    honest = next(c for c in cells if c.name.startswith("behaviour never, rationales train, similar train, selector s"))
    how = How(settings=read_settings(), world=WORLD)
    context = Context(WORLD.corpus, GraphArtefacts(WORLD.corpus, how=how), tmp_path, say=lambda _: None)
    assert "rationales were made from test targets" in oracle.function(context, 0).about["LEAKS"]
    assert "LEAKS" not in honest.function(context, 0).about


def test_failures_are_failures_and_places_follow_the_rotation():
    view = SplitView(WORLD.corpus, "test")
    user = int(view.users[0])
    name, target = str(WORLD.corpus.user_ids[user]), view.target(user)
    others = [i for i in range(1, 80) if i != target][:3]
    shown = [others[0], target, others[1], others[2]]
    failed = Result(key=f"test/{name}", user=name, split="test", status="failed", reason="why")
    assert pulse.outcome(view, failed) == Failure(user, "why")
    # a model that always says the second letter is likeliest, then the third
    payload = {"user": name, "shown": shown, "probabilities": [[0.1, 0.5, 0.3, 0.1]] * 4}
    done = Result(key=f"test/{name}", user=name, split="test", status="done", payload=payload)
    assert pulse.outcome(view, done) == Ranking(user, 0, 0, 4)
    assert places_rotated(payload["probabilities"], 1) == [3.5, 1.0, 2.0, 3.5]
    follows = [[1.0 if shown[(p + r) % 4] == target else 0.0 for p in range(4)] for r in range(4)]
    assert places_rotated(follows, 1) == [1.0] * 4
    swapped = {**payload, "swapped": [[0.1, 0.5, 0.3, 0.1]] * 4}
    result = Result(key=f"test/{name}", user=name, split="test", status="done", payload=swapped)
    told = pulse._biases(view, WORLD.corpus, [result, failed])
    assert told["MAPB"].mean == told["MAPB by rotations"].mean == pytest.approx(1.0) and told["MAPB"].unscored == 1


def test_the_figures_numbers_are_known_for_known_points(tmp_path):
    points = np.eye(4, dtype=np.float32)
    same = np.eye(4, dtype=bool)
    met = Points((0, 1, 2, 3), points, points, same).measures(0)
    assert met[OWN].mean == 1 and met[OTHERS].mean == 0 and met[ALIGNED].mean == 0 and met[AMONG_11].mean == 1
    assert met[UNIFORM].mean == pytest.approx(-4.0), "orthogonal points: d^2 = 2"
    missed = Points((0, 1, 2, 3), points, np.roll(points, 1, axis=0), same)
    assert missed.measures(0)[OWN].mean == 0 and missed.measures(0)[ALIGNED].mean == 2
    assert [r.better for r in missed.rankings()] == [1] * 4 and all(r.candidates == 4 for r in missed.rankings())


def test_figure_3_trains_measures_and_draws(tmp_path, monkeypatch):
    seen = []
    fit = figure_3.fit_space

    def fitted(space, pairs, **given):
        seen.append(set(pairs.users.tolist()))
        return fit(space, pairs, **given)

    monkeypatch.setattr(figure_3, "fit_space", fitted)
    options = Options(cache=tmp_path / "embedders")
    experiment = build(figure_3.NAME, WORLD.corpus, options)
    rows = table(experiment, tmp_path).rows
    assert set(rows) == {"before @extractive", "after @extractive"}
    (picture,) = (tmp_path / "figures").glob("*.png")
    assert (
        picture.read_bytes().startswith(b"\x89PNG")
        and picture.name == f"pulse.figure_3.{WORLD.corpus.name}.extractive.seed1.png"
    )
    run = rows["after @extractive"].runs[0]
    assert "CPU seconds" in run.about["below"] and run.about["picture"] == picture.name
    (learners,) = seen
    measured = set(range(60)) - learners
    assert len(measured) == run.about["measured"] == 6, "a tenth of the users, whom training does not see"


def test_the_picture_gathers_users(tmp_path):
    """No dot stands for one user, and dots stand where their users are."""
    from evals.papers.pulse.figure_3_picture import _gathered

    sizes, places = _gathered(np.array([[0.01, 0.01], [0.02, 0.03], [0.5, 0.5], [0.99, 1.0], [1.0, 0.99]]))
    assert sizes.tolist() == [2, 2]
    assert places[0] == pytest.approx([0.015, 0.02]) and places[1] == pytest.approx([0.995, 0.995])
    sizes, places = _gathered(np.array([[0.1, 0.1], [0.9, 0.9]]))
    assert sizes.shape == (0,) and places.shape == (0, 2)
