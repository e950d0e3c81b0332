"""How long a table takes: what was timed here, else by kind and size, and which of the two it is."""

from __future__ import annotations

from typing import Any

import pytest

from evals.experiment import Cell, Told
from evals.forecast import forecast, rough_seconds
from evals.results import CellRun, Row
from evals.summary import Summary
from whyrec.data.corpus import Corpus
from whyrec.data.generated.world import make


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make(users=30, items=40, seed=3).corpus


def cell(name: str, *, epochs: int = 60, backbone: str = "SASRec") -> Cell:
    return Cell(name, lambda _c, _s: Told([]), axes={"backbone": backbone}, settings={"fit": {"epochs": epochs}})


def row(of: Cell, *seconds: float) -> Row:
    runs = [
        CellRun(
            digest=f"{of.name}{i}",
            recipe=of.name,
            seed=i + 1,
            test={"hr@1": Summary(0.1, 0, 1, 9)},
            valid={},
            n=9,
            unscored=0,
            chance={},
            revision="r",
            device="cpu",
            wall_seconds=s,
            cpu_seconds=s,
        )
        for i, s in enumerate(seconds)
    ]
    return Row(name=of.name, axes=dict(of.axes), settings=dict(of.settings), runs=tuple(runs))


def test_a_cell_takes_what_it_took_and_another_of_its_kind_as_long(corpus: Corpus) -> None:
    a, b = cell("a"), cell("b")
    told = forecast([a, b], 3, data=corpus, measured={"a": row(a, 10.0, 20.0)})
    assert told.seconds == pytest.approx(15 + 3 * 15) and (told.left, told.measured) == (4, 4)
    assert told.basis == "as cells of this table took here"


def test_what_was_never_timed_is_a_rough_figure_and_says_so(corpus: Corpus) -> None:
    a, other = cell("a"), cell("b", backbone="BERT4Rec")
    told = forecast([other], 1, data=corpus, measured={"a": row(a, 500.0)})
    assert told.seconds == rough_seconds(other, corpus) < 20 and "none was timed here yet" in told.basis
    both = forecast([a, other], 2, data=corpus, measured={"a": row(a, 500.0)})
    assert both.basis.startswith("1 of 3 as such cells took here")


def test_a_cell_with_other_settings_is_not_there_and_tells_nothing(corpus: Corpus) -> None:
    quick, full = cell("a", epochs=1), cell("a")
    told = forecast([full], 1, data=corpus, measured={"a": row(quick, 1.0)})
    assert (told.left, told.measured) == (1, 0)


@pytest.mark.parametrize(
    ("users", "items", "events", "backbone", "took"),
    [
        (2000, 800, 17180, "SASRec", 17.6),
        (22363, 12101, 198502, "SASRec", 548),
        (28330, 18775, 292017, "SASRec", 1197),
        (22363, 12101, 198502, "BERT4Rec", 766),
    ],
)
def test_the_rough_figure_is_within_a_factor_of_two_of_the_projects_tables(
    users: int, items: int, events: int, backbone: str, took: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sizes(Corpus):
        def __init__(self) -> None:
            pass

        n_interactions: Any = events
        n_items: Any = items

    assert took / 2 < rough_seconds(cell("a", backbone=backbone), Sizes()) < took * 2
