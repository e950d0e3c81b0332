"""A preference that tells of the next item ranks it first, another user's does not, and one text for all is a doubt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.artefacts import Asked
from evals.experiment import Context, Told
from evals.papers.cot_rec import preferences as table
from evals.registry import EncodeAndMap, Options, chosen
from evals.registry import build as built
from whyrec.data.generated.world import make
from whyrec.data.some import Drawn, some
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.records import Failure
from whyrec.runs import Result

CORPUS = make(users=60, items=80).corpus
VIEW = SplitView(CORPUS, "test")
OPTIONS = Options(users=Drawn(30), how=EncodeAndMap("hashed:64"))


class Written:
    """Preferences made up on the spot; of None the user failed."""

    def __init__(self, says: Callable[[int], str | None]) -> None:
        self.says = says

    def results(self, asked: Asked) -> tuple[Result, ...]:
        rows = []
        for user in some(VIEW.users, asked.users):
            name, text = str(CORPUS.user_ids[int(user)]), self.says(int(user))
            payload: Any = None if text is None else {"text": text, "keywords": [], "merges": 1}
            status: Any = "failed" if text is None else "done"
            why = "no answer" if text is None else ""
            rows.append(Result(key=f"test/{name}", user=name, split="test", status=status, payload=payload, reason=why))
        return tuple(rows)


def told(row: str, says: Callable[[int], str | None], folder: Path) -> Told:
    cell = next(c for c in table.preferences(CORPUS, OPTIONS).cells if c.name == row)
    context = Context(CORPUS, Written(says), folder, say=lambda _line: None)  # type: ignore[arg-type]
    return cell.function(context, 0)


def test_the_caption_of_the_target_is_found_and_another_users_is_not(tmp_path: Path) -> None:
    texts = captions(CORPUS)
    oracle = lambda user: texts[VIEW.target(user) - 1] or None  # noqa: E731
    own, other = (told(f"{row} @extractive", oracle, tmp_path) for row in (table.OWN, table.OTHER))
    assert own.measures[table.DENSE].mean > 0.98 > 0.8 > other.measures[table.DENSE].mean
    assert own.about == {"merges per user": 1.0} and own.doubts == () == other.doubts
    failed = [row for row in own.test if isinstance(row, Failure)]
    assert len(own.test) == 30 and own.measures[table.DENSE].unscored == len(failed)
    same = told(f"{table.OWN} @extractive", lambda user: "likes soap", tmp_path)
    assert same.doubts == ("every preference is the same text",)


def test_the_rows_and_the_claims(tmp_path: Path) -> None:
    experiment = built(table.NAME, CORPUS, OPTIONS)
    assert [c.name for c in experiment.cells] == [
        "chance", "popularity", "latest captions",
        "preference @extractive", "latest batch alone @extractive", "another user's preference @extractive",
    ]  # fmt: skip
    assert all(len(told(name, lambda _user: "", tmp_path).test) == 30 for name in ("chance", "latest captions"))
    asked = {c.name: c.needs for c in experiment.cells}
    (latest,) = asked["latest batch alone @extractive"]
    assert isinstance(latest, Asked) and ("cap", "10") in latest.options


def test_a_further_embedder_adds_cells_that_read_the_same_texts() -> None:
    more = Options(llms=("extractive",), embedders=("hf:models/minilm",))
    first = built("cot_rec.table_1", CORPUS, Options(llms=("extractive",)))
    experiment = built("cot_rec.table_1", CORPUS, more)
    added = [c.name for c in experiment.cells if c.name not in {one.name for one in first.cells}]
    sasrec = [name for name in added if name.startswith("SASRec")]
    assert "SASRec user=None,item=Caption by minilm" in sasrec
    assert "SASRec user=None,item=Description @extractive by minilm" in sasrec
    assert all(name.endswith("by minilm") for name in added) and "Random" not in " ".join(added)
    pairs = {(c.better, c.worse) for c in experiment.claims if c.name == "another embedder reads better"}
    assert ("SASRec user=None,item=Caption by minilm", "SASRec user=None,item=Caption") in pairs
    by_name = {c.name: c.settings["encode and map"]["embedder"] for c in experiment.cells if "fit" in c.settings}
    assert by_name["SASRec user=None,item=Caption by minilm"] == "hf:models/minilm"
    assert by_name["SASRec user=None,item=Caption"] == "lsa"


def test_typed_options_are_those_of_the_experiment() -> None:
    typed = chosen(Options(), {"labels": "score", "rotations": "no", "window": "500", "titles": "bare"})
    assert (typed.labels, typed.rotations, typed.window) == ("score", False, 500)
    assert chosen(Options(), {}) == Options()
    measures = built("cot_rec.table_2", CORPUS, typed).measures
    assert "MAPB" in measures and "MAPB by rotations" not in measures
    with pytest.raises(Exception, match="no option of a table named 'label'"):
        chosen(Options(), {"label": "score"})
