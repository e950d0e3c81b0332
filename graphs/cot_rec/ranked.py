"""What a ranking of cot_rec.recommend may show and hold, and where it has the target.

Beside the graph, which has no room for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphs.cot_rec import perception
from graphs.cot_rec import preference as fold
from graphs.outcomes import Judged, Scored, Worth, scored
from graphs.shared.audited import FROM_DESCRIPTIONS, FROM_PREFERENCES, HISTORY, WHO
from whyrec.data.split import SplitView
from whyrec.plugins.rules import Builds, Rule, Rules
from whyrec.records import Failure, Outcome, Ranking
from whyrec.runs import Result

_TOLD = {**HISTORY, "preference": Rule.SAID, "options": Rule.CANDIDATES}
AUDIT = Rules(
    blanks={
        **fold.FOLDING,
        **perception.PERCEIVING,
        "cot_rec/rank_titles": {**HISTORY, "options": Rule.CANDIDATES},
        "cot_rec/rank_preference": _TOLD,
        "cot_rec/rank_perception": _TOLD,
    },
    numbered=perception.NUMBERED,
    results={
        **WHO,
        **dict.fromkeys(("retrieved", "shown", "probabilities"), Rule.NUMBERS),
        "ranking": Rule.OF_CANDIDATES,
        "preference": Rule.SAID,
        "perceptions": Rule.OF_CANDIDATES,
    },
    order="shown",
    earlier={
        "descriptions": FROM_DESCRIPTIONS,
        "item_texts": FROM_DESCRIPTIONS,
        "user_texts": Builds(
            ("valid",), "a recommender is trained on s[:-2], so the texts it starts from are made of it"
        ),
        "preferences": FROM_PREFERENCES,
        "perceptions": Builds(("same",), "a perception made for a later split has read this split's target"),
    },
)


def outcomes(judged: Judged) -> list[Worth | Scored]:
    """Where each result has the target, over all users."""
    view = judged.view
    return scored({result.key: outcome(view, result) for result in judged.results}, "ndcg@10", "recall@10")


def outcome(view: SplitView, result: Result) -> Outcome:
    """Where a result of cot_rec.recommend has the target: by its letters, or as retrieved where nobody was asked."""
    user = int(view.corpus.user_index[result.user])
    if result.payload is None:
        return Failure(user, result.reason)
    items, target = result.payload["retrieved"], view.target(user)
    if target not in items:
        return Ranking(user, len(items), 0, view.corpus.n_items)
    if not result.payload["probabilities"]:
        return Ranking(user, items.index(target), 0, view.corpus.n_items)
    better, ties = _above(result.payload["probabilities"][0], result.payload["shown"].index(target))
    return Ranking(user, better, ties, view.corpus.n_items)


def _above(probabilities: Sequence[float], at: int) -> tuple[int, int]:
    """(options likelier than this one, others equally likely)."""
    ours = probabilities[at]
    return sum(p > ours for p in probabilities), sum(p == ours for p in probabilities) - 1
