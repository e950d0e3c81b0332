"""What a prediction of rallrec.predict may show and hold, and what its probabilities are worth.

Beside the graph, which has no room for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphs.outcomes import Judged, Scored, Worth, scored
from graphs.rallrec.retrieve import EARLIER, RESULTS
from graphs.shared.audited import DOMAIN
from whyrec.data.ctr import CtrRows, CtrView, ctr_rows
from whyrec.plugins.rules import Builds, Rule, Rules
from whyrec.records import Click, Split
from whyrec.runs import Result

_ROW = {
    **DOMAIN,
    **dict.fromkeys(("profile", "above", "opinion"), Rule.GIVEN),
    "history": Rule.HISTORY,
    "item": Rule.QUESTION,
}
_READINGS = (
    "p", "ways", "own", "variance", "expert", "expert_variance", "probability", "tokens", "characters", "cut_off",
    "votes",
)  # fmt: skip
AUDIT = Rules(
    blanks={"rallrec/reason": _ROW, "rallrec/click": {**_ROW, "thoughts": Rule.OF_QUESTION}},
    results={**RESULTS, "hint": Rule.GIVEN, **dict.fromkeys(_READINGS, Rule.NUMBERS)},
    earlier={**EARLIER, "expert_run": Builds(("same",), "another split's rows have other histories")},
)


def outcomes(judged: Judged) -> list[Worth | Scored]:
    """The merged probability of every row, held against whether it was clicked."""
    clicks = clicks_by_key(judged.results, ctr_rows(judged.corpus), judged.options.split)
    return scored(clicks, "log_loss", "accuracy")


def clicks_by_key(results: Sequence[Result], rows: CtrRows, split: Split) -> dict[str, Click]:
    """The merged probability of every row that did not fail, by key."""
    view = CtrView(rows, split)
    numbers = numbers_of(view)
    good = [(r.key, numbers[r.key], float(r.payload["probability"])) for r in results if r.payload is not None]
    clicked = view.clicked(np.array([row for _, row, _ in good], dtype=np.int64))
    return {key: Click(row, p, bool(c)) for (key, row, p), c in zip(good, clicked, strict=True)}


def numbers_of(view: CtrView) -> dict[str, int]:
    """Row numbers by the keys that runs know the rows by."""
    return {view.key(int(row)): int(row) for row in view.rows}
