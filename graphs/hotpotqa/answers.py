"""How an answer agrees with the right one, by HotpotQA's official rules (hotpot_evaluate_v1.py; spec 1.5).

Unusual: yes, no and noanswer are all or nothing: where either side is one of them and the other differs, F1 is 0 even
if they share a word.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from graphs.outcomes import Judged, Scored, Worth, scored
from whyrec.data.questions import Gold, Questions
from whyrec.records import Failure, Match, Outcome
from whyrec.runs import Result

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = ("yes", "no", "noanswer")


def normalise_answer(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, right: str) -> bool:
    """Whether the two are the same once normalised."""
    return normalise_answer(answer) == normalise_answer(right)


def f1(answer: str, right: str) -> float:
    """Harmonic mean of the shares of words, counted with repeats, that the two have in common."""
    one, other = normalise_answer(answer), normalise_answer(right)
    if one != other and (one in _CLOSED or other in _CLOSED):
        return 0.0
    mine, wanted = one.split(), other.split()
    shared = sum((Counter(mine) & Counter(wanted)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(mine), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)


def match(question: int, answer: str, right: str) -> Match:
    """The outcome of one question."""
    return Match(question, exact_match(answer, right), f1(answer, right))


def outcomes(judged: Judged) -> list[Worth | Scored]:
    """Every answer held against the right one."""
    rows = held_against_gold(judged.questions, judged.results)
    return scored({result.key: row for result, row in zip(judged.results, rows, strict=True)}, "f1", "em")


def held_against_gold(data: Questions, results: Sequence[Result]) -> list[Outcome]:
    """Results of hotpotqa.react held against the right answers, in their order."""
    gold, places = Gold(data), {f"question/{q.id}": i for i, q in enumerate(data.questions)}
    rows: list[Outcome] = []
    for result in results:
        place = places[result.key]
        if result.payload is None:
            rows.append(Failure(place, result.reason))
        else:
            rows.append(match(place, str(result.payload["answer"]), gold.answer(place)))
    return rows
