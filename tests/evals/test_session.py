from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.artefacts import Asked, Need, Source, Texts, of_the_data
from evals.evaluate import Place
from evals.registry import EncodeAndMap, Options, about, build
from evals.session import Choice, Session
from whyrec.data.corpus import Corpus
from whyrec.data.generated.world import make
from whyrec.data.some import Drawn
from whyrec.errors import UnknownNameError
from whyrec.runs import Result

OPTIONS = Options(how=EncodeAndMap("hashed:32", "random"), epochs=1)


@dataclass
class Fake:
    """Captions for every item source, and a preference for every user but one."""

    corpus: Corpus

    def texts(self, source: Source) -> Texts:
        if source.what == "preference":
            some = tuple("" if u == 0 else f"likes soap {u % 5}" for u in range(self.corpus.n_users))
            return Texts(some, (0,), {"users": self.corpus.n_users, "without": 1})
        return of_the_data(self.corpus, Source("caption"))

    def results(self, asked: Asked) -> tuple[Result, ...]:
        raise AssertionError("this table reads texts only")

    def digest(self, need: Need) -> str:
        assert isinstance(need, Source)
        return self.texts(need).digest

    def note(self, need: Need) -> Mapping[str, Any]:
        assert isinstance(need, Source)
        return self.texts(need).note


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make(users=30, items=40, seed=3).corpus


def session(corpus: Corpus, folder: Path, choice: Choice) -> Session:
    place = Place(folder / "home", folder / "results")
    return Session("cot_rec.table_1", corpus, artefacts=Fake(corpus), place=place, choice=choice, options=OPTIONS)


def test_the_whole_grid_of_one_backbone(corpus: Corpus, tmp_path: Path) -> None:
    s = session(corpus, tmp_path, Choice((1,), backbone="SASRec"))
    lines: list[str] = []
    table = s.run(s.plan(), done=lambda job, run: None, say=lines.append)
    assert {v.verdict for v in table.verdicts} <= {"no result", "no verdict"}
    assert {v.verdict for v in table.verdicts if v.claim == "text beats random"} == {"no result"}
    assert set(table.rows) == {cell.name for cell in s.experiment.cells if cell.axes.get("backbone") != "BERT4Rec"}
    assert {v.claim for v in table.verdicts} == set(s.experiment.says)
    assert table.notes == {"preference@extractive 10/2": "users 30; without 1", "description@extractive": ""}
    assert all(line.startswith("epoch 1 of at most 1") for line in lines) and lines
    row = table.rows["SASRec user=Preference,item=Description @extractive"]
    assert row.runs[0].about["users without a preference"] == 1
    assert (s.forecast().seconds, s.forecast().left) == (0.0, 0)
    more = session(corpus, tmp_path, Choice((1, 2), backbone="SASRec")).forecast()
    assert more.seconds > 0 and more.left == more.measured == sum(cell.seeded for cell in s.cells)


def test_a_pattern_within_a_backbone(corpus: Corpus, tmp_path: Path) -> None:
    s = session(corpus, tmp_path, Choice((1,), cells="*user=None,item=Random", backbone="BERT4Rec"))
    assert [c.name for c in s.cells] == ["BERT4Rec user=None,item=Random"] and s.needs == ()
    with pytest.raises(UnknownNameError, match="BERT4Rec"):
        session(corpus, tmp_path, Choice((1,), cells="SASRec*", backbone="BERT4Rec"))


def test_repeated_targets_are_said(corpus: Corpus, tmp_path: Path) -> None:
    items = corpus.items.copy()
    user = int(np.argmax(corpus.lengths))
    items[corpus.offsets[user + 1] - 1] = items[corpus.offsets[user]]
    s = session(replace(corpus, items=items), tmp_path, Choice((1,), cells="popularity"))
    table = s.run(s.plan(), done=lambda job, run: None, say=lambda line: None)
    assert "3.3% of the test targets" in table.notes["repeats"]


def test_some_users_are_measured_and_all_are_trained_on(corpus: Corpus, tmp_path: Path) -> None:
    place, choice = Place(tmp_path / "home", tmp_path / "results"), Choice((1,), cells="popularity")
    options = replace(OPTIONS, users=Drawn(12))
    s = Session("cot_rec.table_1", corpus, artefacts=Fake(corpus), place=place, choice=choice, options=options)
    assert "12 users drawn" in s.experiment.measured and "train on all" in s.experiment.measured
    table = s.run(s.plan(), done=lambda job, run: None, say=lambda line: None)
    assert table.rows["popularity"].runs[0].n == 12 and "12 users drawn at random" in table.notes["users"]


def test_data_cut_to_their_first_users_give_no_result(corpus: Corpus, tmp_path: Path) -> None:
    cut = replace(corpus, notes={**corpus.notes, "first users only": 30})
    place, choice = Place(tmp_path / "home", tmp_path / "results"), Choice((1,))
    s = Session("pulse.leaks", cut, artefacts=Fake(cut), place=place, choice=choice, options=Options())
    assert {cell.quick for cell in s.cells} == {"the data are cut to their first 30 users"}


@pytest.mark.parametrize("name", [n for n in about() if not n.startswith("hotpotqa")])
def test_every_table_says_whom_it_measures(name: str, corpus: Corpus) -> None:
    told = build(name, corpus, Options(users=Drawn(7))).measured
    assert "7 " in told and told != build(name, corpus, Options()).measured
