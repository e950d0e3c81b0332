"""What the results of a workflow are worth, example by example: a registry, graph -> values of its examples.

Tables and `whyrec compare` read payloads by the same functions, those of the paper's own module. A workflow whose
result is a text without a score is worth nothing by itself; what can be said of it is how long it is and how near it
comes to the true next item, which no prompt has seen: the share of the other items of the catalogue whose captions are
less like the text (by lsa) than the target's is. That is called by its name and is no quality of the text.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evals.metrics import metric
from graphs.outcomes import Judged, Worth
from graphs.workflow import guest, guests
from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.embed import open_embedder
from whyrec.errors import UnknownNameError
from whyrec.records import Click, Failure, Match, Outcome, Ranking
from whyrec.runs import Result

PERCENTILE = "target's percentile"
SHOWN = "target's percentile (its prompt shows the target)"
OWN = "own item's percentile (its prompt shows the item)"
WORDS = "words"


def worth(graph: str, judged: Judged) -> list[Worth]:
    """The measures of a workflow's results, the one that counts first.

    Raises:
        UnknownNameError: nothing can be said of single examples of this workflow.
    """
    check(graph)
    if graph in _READERS:
        return _READERS[graph](judged)
    flow = guest(graph)
    assert flow is not None and flow.outcomes is not None
    return flow.outcomes(judged)


def check(graph: str) -> None:
    """Before anything is asked; raises as `worth`."""
    known = [*_READERS, *(flow.name for flow in guests() if flow.outcomes is not None)]
    if graph not in known:
        hint = "The others have one example for a whole data set, ask no model, or declare no outcomes."
        raise UnknownNameError("workflow whose examples can be compared", graph, known, hint=hint)


def _choose(judged: Judged) -> list[Worth]:
    return _ranked(judged, _of("evals.papers.pulse.tables", "outcome"), ("mrr@10", "hr@1"))


def _recommend(judged: Judged) -> list[Worth]:
    return _ranked(judged, _of("evals.papers.cot_rec.table_2", "outcome"), ("ndcg@10", "recall@10"))


def _ranked(judged: Judged, read: Callable[[SplitView, Result], Outcome], metrics: tuple[str, ...]) -> list[Worth]:
    view = judged.view
    return _measured({result.key: read(view, result) for result in judged.results}, metrics)


def _predict(judged: Judged) -> list[Worth]:
    from whyrec.data.ctr import ctr_rows

    clicks = _of("evals.papers.rallrec.clicks", "clicks_by_key")(
        judged.results, ctr_rows(judged.corpus), judged.options.split
    )
    return _measured(clicks, ("log_loss", "accuracy"))


def _react(judged: Judged) -> list[Worth]:
    rows = _of("evals.papers.hotpotqa", "outcomes")(judged.data, judged.results)
    return _measured({result.key: row for result, row in zip(judged.results, rows, strict=True)}, ("f1", "em"))


def _generate(judged: Judged) -> list[Worth]:
    """The chain's twenty recommendations, as scoter.table_11 judges them."""
    scoter = importlib.import_module("evals.papers.scoter")
    catalogue = scoter.Catalogue(judged.corpus, "lsa", cache=judged.home / "embedders")
    judge = scoter.Judge(catalogue, judged.view, scoter.Mapping())
    index = judged.corpus.user_index
    return _verdicts({r.key: scoter.verdict_of(judge, int(index[r.user]), p) for r, p in judged.done})


def _validate(judged: Judged) -> list[Worth]:
    """The verdicts that the workflow itself came to, as means over a user's chains."""
    names = {PERCENTILE: "percentile", "recall@20": "hit", "ndcg@20": "ndcg"}
    return [Worth(name, {r.key: float(p[kept]) for r, p in judged.done}) for name, kept in names.items()]


def _verdicts(found: Mapping[str, Any]) -> list[Worth]:
    return [
        Worth(PERCENTILE, {key: v.percentile for key, v in found.items()}),
        Worth("recall@20", {key: float(v.hit) for key, v in found.items()}),
        Worth("ndcg@20", {key: v.ndcg for key, v in found.items()}),
    ]


def _perception(judged: Judged) -> list[Worth]:
    """Where the target comes among the candidates by the stances of their reviews, where these have any; words."""
    view, found = judged.view, dict[str, Outcome]()
    texts = {r.key: " ".join(row["phrase"] for row in p["perceptions"]) for r, p in judged.done}
    for result, payload in judged.done:
        user = int(view.corpus.user_index[result.user])
        stances = {row["index"]: row["stance"] for row in payload["perceptions"]}
        if None not in stances.values():
            ours = stances[view.target(user)]
            better, equal = (sum(s > ours for s in stances.values()), sum(s == ours for s in stances.values()) - 1)
            found[result.key] = Ranking(user, better, equal, len(stances))
    ranked = _measured(found, ("mrr@10",))
    return [*[Worth("mrr@10 by stance", w.values) for w in ranked if w.values], _words(texts)]


def _text(read: Callable[[Mapping[str, Any]], str], name: str = PERCENTILE) -> Callable[[Judged], list[Worth]]:
    """Measures of a text about a user."""

    def measures(judged: Judged) -> list[Worth]:
        texts = {r.key: read(p) for r, p in judged.done}
        view, index = _view_of(judged), judged.corpus.user_index
        # a prefix of a history ("train/USER@12") has another next item than its user
        users = {r.key: int(index[r.user]) for r, _ in judged.done if "@" not in r.key}
        targets = {key: (view.target(user), view.history(user)) for key, user in users.items()}
        near = percentiles(judged.corpus, {key: texts[key] for key in targets}, targets, cache=judged.home)
        return [*([Worth(name, near)] if near else []), _words(texts)]

    return measures


def _rationale(judged: Judged) -> list[Worth]:
    return _text(lambda p: str(p["text"]), SHOWN)(judged)


def _describe(judged: Judged) -> list[Worth]:
    texts = {r.key: str(p["text"]) for r, p in judged.done}
    targets = {r.key: (int(p["index"]), np.empty(0, np.int32)) for r, p in judged.done}
    return [Worth(OWN, percentiles(judged.corpus, texts, targets, cache=judged.home)), _words(texts)]


def _refined(payload: Mapping[str, Any]) -> str:
    """The reason that the first selector chose."""
    number = next(iter(payload["chosen"].values()), 0)
    return str(payload["thoughts"][number]["text"])


def _view_of(judged: Judged) -> SplitView:
    """By the results, where the workflow calls its split otherwise."""
    splits = {result.split for result in judged.results}
    assert len(splits) == 1, "a run is of one split"
    return SplitView(judged.corpus, splits.pop())  # type: ignore[arg-type]


def percentiles(
    corpus: Corpus, texts: Mapping[str, str], targets: Mapping[str, tuple[int, Any]], *, cache: Path
) -> dict[str, float]:
    """Of each text, the share of the other items that are less like it than its target is, ties half; chance .5.

    Args:
        corpus: whose items.
        texts: by key.
        targets: (item, items that do not count: those the text is made from) by key.
        cache: `$WHYREC_HOME`.
    """
    if not texts:
        return {}
    embedder = open_embedder("lsa", fit_on=captions(corpus), cache=cache / "embedders")
    near_NI = embedder.embed(list(texts.values())) @ embedder.embed(captions(corpus)).T
    found = {}
    for key, near_I in zip(texts, near_NI, strict=True):
        target, known = targets[key]
        rivals = np.ones(corpus.n_items, dtype=bool)
        rivals[np.asarray(known, dtype=np.int64) - 1] = False
        rivals[target - 1] = False
        others, mine = near_I[rivals], near_I[target - 1]
        below = float((others < mine).sum() + 0.5 * (others == mine).sum())
        found[key] = below / len(others) if len(others) else 0.5
    return found


def _words(texts: Mapping[str, str]) -> Worth:
    return Worth(WORDS, {key: float(len(text.split())) for key, text in texts.items()}, "")


def _measured(outcomes: Mapping[str, Outcome], metrics: Iterable[str]) -> list[Worth]:
    scored: dict[str, Ranking | Click | Match] = {k: o for k, o in outcomes.items() if not isinstance(o, Failure)}
    return [
        Worth(
            name,
            {key: metric(name).score(outcome) for key, outcome in scored.items()},
            "higher" if metric(name).higher_is_better else "lower",
        )
        for name in metrics
    ]


def _of(module: str, function: str) -> Any:
    """A paper's own reader, imported when it is needed."""
    return getattr(importlib.import_module(module), function)


_READERS: Mapping[str, Callable[[Judged], list[Worth]]] = {
    "cot_rec.describe": _describe,
    "cot_rec.preference": _text(lambda p: str(p["text"])),
    "cot_rec.perception": _perception,
    "cot_rec.recommend": _recommend,
    "hotpotqa.react": _react,
    "pulse.choose": _choose,
    "pulse.rationale": _rationale,
    "pulse.refine": _text(_refined),
    "rallrec.describe": _describe,
    "rallrec.predict": _predict,
    "scoter.distil": _text(lambda p: str(p["summary"])),
    "scoter.generate": _generate,
    "scoter.validate": _validate,
}
