"""Templates held against one another on the same fresh users: means with intervals, and paired tests.

Hits are compared by McNemar's exact test (a sign test over the users whom only one of two templates served), the dense
surrogate by Wilcoxon's signed ranks. p-values are two-sided and not adjusted for their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from graphs.scoter.paths import as_json, normal, wilson

LEVEL = 0.05
Verdicts = Mapping[str, Mapping[str, Any]]  # user key -> verdict as kept


def summary(verdicts: Verdicts, failed: int) -> dict[str, Any]:
    """Recall@20, NDCG@20 and the dense surrogate of one template, over the users it served."""
    if not verdicts:
        return {"n": 0, "failed": failed}
    rows = list(verdicts.values())
    return {
        "n": len(rows),
        "failed": failed,
        "hits": sum(bool(v["hit"]) for v in rows),
        "recall@20": as_json(wilson(sum(bool(v["hit"]) for v in rows), len(rows))),
        "ndcg@20": as_json(normal([v["ndcg"] for v in rows])),
        "percentile": as_json(normal([v["percentile"] for v in rows])),
    }


def paired(mine: Verdicts, other: Verdicts) -> dict[str, Any]:
    """Differences over the users that both have; positive where the first is better."""
    both = [user for user in mine if user in other]
    won = sum(bool(mine[u]["hit"]) and not other[u]["hit"] for u in both)
    lost = sum(bool(other[u]["hit"]) and not mine[u]["hit"] for u in both)
    dense = np.array([mine[u]["percentile"] - other[u]["percentile"] for u in both])
    return {
        "n": len(both),
        "won": won,
        "lost": lost,
        "recall difference": round((won - lost) / len(both), 6) if both else 0.0,
        "p recall": float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0,
        "percentile difference": round(float(dense.mean()), 6) if both else 0.0,
        "p percentile": float(tuple(stats.wilcoxon(dense, method="approx"))[1]) if dense.any() else 1.0,
    }


def beaten_by(pairs: Mapping[str, Mapping[str, Any]], rivals: Sequence[str]) -> list[str]:
    """Rivals that are better at p < .05, by hits or, where hits do not tell, by the dense surrogate."""
    return [name for name in rivals if name in pairs and _is_worse(pairs[name])]


def _is_worse(pair: Mapping[str, Any]) -> bool:
    if pair["won"] + pair["lost"]:
        return bool(pair["won"] < pair["lost"] and pair["p recall"] < LEVEL)
    return bool(pair["percentile difference"] < 0 and pair["p percentile"] < LEVEL)
