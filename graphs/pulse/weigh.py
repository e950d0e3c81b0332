"""How much each candidate reason weighs: in the thought space, by plain cosine, by length, by its likelihood."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphs.pulse import tree
from graphs.pulse.tree import EMBEDDING, LONGEST, SPACE, Thought
from graphs.shared.gather import gather
from whyrec.embed import Embedder
from whyrec.llm.model import LanguageModel, Refused, Request, Scorer

if TYPE_CHECKING:
    from rec_models.thought_space.space import ThoughtSpace


@dataclass(frozen=True, eq=False)
class Weights:
    """What reasons are weighed with. `space` is None where no selector asks for it."""

    embedder: Embedder
    space: ThoughtSpace | None


def weigh(
    weights: Weights,
    thoughts: Sequence[Thought],
    numbers: Sequence[int],
    *,
    behaviour: str,
    selectors: Sequence[str],
) -> tuple[tuple[int, ...], dict[str, list[float]]]:
    """(candidates, scores of the selectors that ask no model).

    Args:
        weights: embedder and space.
        thoughts: the tree.
        numbers: which thoughts may be chosen; of near-duplicates the first is a candidate.
        behaviour: the text to compare with.
        selectors: which scores are wanted.
    """
    vectors = weights.embedder.embed([thoughts[n].text for n in numbers])
    pool = tree.distinct(numbers, thoughts, vectors)
    texts = [thoughts[n].text for n in pool]
    scores: dict[str, list[float]] = {}
    if SPACE in selectors:
        assert weights.space is not None
        scores[SPACE] = weights.space.scores(texts, behaviour).tolist()
    if EMBEDDING in selectors:
        place = {n: at for at, n in enumerate(numbers)}
        target = weights.embedder.embed([behaviour])[0]
        scores[EMBEDDING] = (vectors[[place[n] for n in pool]] @ target).tolist()
    if LONGEST in selectors:
        scores[LONGEST] = tree.lengths(pool, thoughts)
    return pool, scores


async def likelihoods(
    llm: LanguageModel, thoughts: Sequence[Thought], pool: Sequence[int], *, drawn_from: Callable[[int], Request]
) -> list[float]:
    """Mean log-probability per token of each candidate's answer, given the prompt it was drawn from (spec 1.4, 3.d).

    Args:
        llm: the model that wrote them.
        thoughts: the tree.
        pool: the candidates.
        drawn_from: the prompt of the children of a thought, by its number.

    Raises:
        Refused: the model scores no texts.
        ModelError: it did not answer.
    """
    if not isinstance(llm, Scorer):
        raise Refused(f"{llm.name} scores no texts, so the likelihood of a reason under it is not known")
    families: dict[int, list[int]] = {}
    for number in pool:
        families.setdefault(thoughts[number].parent, []).append(number)
    asks = []
    for parent, children in families.items():
        answers = [json.dumps({"text": thoughts[n].text}, ensure_ascii=False) for n in children]
        asks.append(llm.score(drawn_from(parent), answers))
    found = await gather(asks)
    mean = {
        number: one.mean
        for children, scored in zip(families.values(), found, strict=True)
        for number, one in zip(children, scored, strict=True)
    }
    return [mean[number] for number in pool]
