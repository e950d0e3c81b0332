"""Every row of a table that is measured on drawn users is measured on the same ones, and on no others."""

from pathlib import Path

import numpy as np
import pytest

from evals.evaluate import Place
from evals.inputs.graph_artefacts import GraphArtefacts
from evals.registry import Options
from evals.results import Results
from evals.session import Choice, Session
from graphs.run import How
from graphs.workflow import Source, workflow
from whyrec.data.generated.facts import make as make_facts
from whyrec.data.generated.world import make
from whyrec.data.some import Drawn, HowMany, some
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.settings import read_settings

WORLD, FACTS = make(users=90, items=80, seed=2), make_facts(questions=30)


def made(name: str, cells: str, home: Path, users: HowMany) -> Results:
    of = FACTS if name.startswith("hotpotqa") else WORLD
    data = FACTS.questions if name.startswith("hotpotqa") else WORLD.corpus
    session = Session(
        name,
        data,
        artefacts=GraphArtefacts(data, how=How(settings=read_settings(home=home), world=of)),
        place=Place(home, home / "results"),
        choice=Choice((1,), cells),
        options=Options(users=users),
    )
    return session.run(session.plan(), done=lambda job, run: None, say=lambda line: None)


def test_rows_over_other_users_do_not_stand_in_one_table(tmp_path: Path) -> None:
    """Neither in its rows nor in its notes."""
    both = "popularity;item-CF, None"
    first = made("cot_rec.table_2", both, tmp_path, 30)
    assert "no random draw" in first.notes["users"]
    with pytest.raises(
        UsageError, match="holds rows over the first 30 users of 90, and these would be over 30 users dr"
    ):
        made("cot_rec.table_2", "popularity", tmp_path, Drawn(30))
    assert made("cot_rec.table_2", "popularity", tmp_path, 30).notes == first.notes
    drawn = made("cot_rec.table_2", both, tmp_path, Drawn(30))
    assert "drawn at random" in drawn.notes["users"] and len(drawn.notes) == len(first.notes) == 2
    whole = made("cot_rec.table_2", both, tmp_path, None)
    assert "users" not in whole.notes and {row.runs[0].n for row in whole.rows.values()} == {90}


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("cot_rec.table_2", "popularity;item-CF*"),
        ("pulse.table_4", "chance;popularity;item-CF;no reason*;random*"),
        ("scoter.table_11", "chance;popularity;item-CF;free path @*;Two-step*"),
        ("hotpotqa.table_7", "any title;longest title;Standard*;ReAct @*"),
    ],
)
def test_all_rows_measure_the_same_drawn_users(name: str, cells: str, tmp_path: Path) -> None:
    of = FACTS if name.startswith("hotpotqa") else WORLD
    table = made(name, cells, tmp_path, Drawn(25))
    view = SplitView(WORLD.corpus, "test")
    among = np.arange(30) if of is FACTS else view.users
    wanted = some(among.astype(np.int64), Drawn(25))
    assert not np.array_equal(wanted, among[:25])
    files = [np.load(path) for path in sorted((tmp_path / "cells").glob("*.npz"))]
    assert len(files) >= len(table.rows) == len(cells.split(";")) + {"cot_rec.table_2": 5}.get(name, 0)
    for stored in files:
        assert np.array_equal(np.sort(stored["users"]), wanted)
    if of is not FACTS:
        assert "drawn at random" in table.notes["users"]


@pytest.mark.parametrize("retriever", ["item_cf", "sasrec"])
def test_only_hits_are_those_of_the_drawn_users(retriever: str, tmp_path: Path) -> None:
    flow = workflow("cot_rec.recommend")
    options = {"retriever": retriever, "mode": "titles"}
    whole, drawn = Source(WORLD.corpus, tmp_path), Source(WORLD.corpus, tmp_path, Drawn(40))
    hits = set(flow.inputs(whole, flow.options(only="hits", **options)).indices.tolist())
    asked = flow.inputs(drawn, flow.options(**options)).indices
    found = flow.inputs(drawn, flow.options(only="hits", **options)).indices
    assert 0 < len(hits) < len(SplitView(WORLD.corpus, "test").users)
    assert found.tolist() == [user for user in asked.tolist() if user in hits]
