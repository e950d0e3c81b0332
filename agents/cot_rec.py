"""CoT-Rec's reasoning, one agent per step (paper 4.1; spec 2.a, 10).

Preference: `summarise_batch` and `merge_preference` are the steps of the fold. Perception: `write_reviews` and
`extract_perceptions` handle all candidates of a user in two calls, `write_review` and `extract_perception` one each.
Ranking: `rank_titles`, `rank_preference` and `rank_perception` choose among lettered items, each told more than the one
before it (the paper's LLM, LLM+ and LLM++). The `official_*` agents are the released code's single calls, kept for
comparison. Answers that speak of several items name them by `Item.index` and are checked to name exactly the items
asked about: titles repeat, indices do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from agents.agent import Agent
from agents.answers import Answer, Words
from agents.ranker import Chooser
from agents.usable import Asked
from whyrec.llm.model import Unusable

_MOSTLY = 0.5  # of the items of a list differ: two of one kind may be seen alike
Keyword: TypeAlias = Annotated[str, Field(min_length=1, max_length=60)]
ItemId: TypeAlias = Annotated[int, Field(ge=0, description="number of the item in square brackets")]
Impression: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=80, description="the user's impression of the item in at most 8 words"),
    Words(8),
]
ReviewText: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=480, description="what this user says about the item, in at most 60 words"),
    Words(60),
]
Stance: TypeAlias = Annotated[int, Field(ge=-2, le=2, description="2 wants it, 0 indifferent, -2 clearly not")]
Listed: TypeAlias = Annotated[int, Field(ge=0, description="number in front of the line")]


class ShortTermInterest(Answer):
    """What one batch of a history is about."""

    summary: Annotated[
        str,
        Field(min_length=1, max_length=480, description="the interest behind these items, at most 60 words"),
        Words(60),
    ]
    keywords: Annotated[
        tuple[Keyword, ...],
        Field(min_length=3, max_length=8, description="short phrases that name the interest, strongest first"),
    ]


class LongTermPreference(Answer):
    """The preference after a merge. `kept`, `dropped` and `added` say what the new interest changed."""

    summary: Annotated[
        str,
        Field(min_length=1, max_length=640, description="the user's preference as it stands now, at most 80 words"),
        Words(80),
    ]
    keywords: Annotated[
        tuple[Keyword, ...],
        Field(min_length=5, max_length=12, description="short phrases that name the preference, strongest first"),
    ]
    kept: Annotated[tuple[Keyword, ...], Field(max_length=12, description="old keywords that still hold")] = ()
    dropped: Annotated[tuple[Keyword, ...], Field(max_length=12, description="old keywords that no longer hold")] = ()
    added: Annotated[tuple[Keyword, ...], Field(max_length=12, description="new keywords")] = ()


class Review(Answer):
    """A role-played review of one item."""

    text: ReviewText
    stance: Stance


class ItemReview(Answer):
    """A role-played review among several."""

    id: ItemId
    text: ReviewText
    stance: Stance


class Reviews(Answer):
    """One review per candidate."""

    items: Annotated[
        tuple[ItemReview, ...],
        Field(min_length=1, max_length=20, description="one review for every candidate"),
        Asked(distinct=_MOSTLY),
    ]


class Perception(Answer):
    """What the user sees in one item."""

    phrase: Impression


class ItemPerception(Answer):
    """What the user sees in one item among several."""

    id: ItemId
    phrase: Impression


class Perceptions(Answer):
    """One impression per review."""

    items: Annotated[
        tuple[ItemPerception, ...],
        Field(min_length=1, max_length=20, description="one impression for every review"),
        Asked(distinct=_MOSTLY),
    ]


class OfficialPreference(Answer):
    """The released code's user preference: keywords alone."""

    keywords: Annotated[
        tuple[Keyword, ...],
        Field(min_length=3, max_length=20, description="keywords of the user's preferences, strongest first"),
    ]


class Note(Answer):
    """A sentence about one line of a block."""

    id: Listed
    text: Annotated[str, Field(min_length=1, max_length=480, description="what is to be said about this line")]


class OfficialJson(Answer):
    """The released code's preference and perception in one answer, keyed by number instead of by title."""

    user_history_perception: Annotated[
        tuple[Note, ...],
        Field(min_length=1, max_length=20, description="what each item of the history is"),
        Asked(distinct=_MOSTLY),
    ]
    user_preferences: Annotated[
        str,
        Field(min_length=1, max_length=640, description="the user's tastes, from regularities, at most 80 words"),
        Words(80),
    ]
    candidate_temp_perception: Annotated[
        tuple[Note, ...],
        Field(min_length=1, max_length=20, description="each candidate objectively, then Comment: the user's view"),
        Asked(distinct=_MOSTLY),
    ]
    candidate_perception: Annotated[
        tuple[ItemPerception, ...],
        Field(min_length=1, max_length=20, description="the user's impression of each candidate"),
        Asked(distinct=_MOSTLY),
    ]


def _differ(field: str, given: Iterable[int], wanted: Iterable[int]) -> Unusable | None:
    """What is wrong with the ids of an answer that must speak of each wanted item exactly once, or None."""
    got, need = list(given), list(wanted)
    if sorted(got) == sorted(need):
        return None
    said = [f"{field} must have exactly one entry for each of the ids {', '.join(map(str, need))}"]
    for what, ids in (
        ("missing", [i for i in need if i not in got]),
        ("not asked for", [i for i in dict.fromkeys(got) if i not in need]),
        ("given more than once", [i for i in dict.fromkeys(got) if got.count(i) > 1]),
    ):
        if ids:
            said.append(f"{what}: {', '.join(map(str, ids))}")
    return Unusable("wrong_ids", "; ".join(said))


def _reviews_cover(answer: Reviews, blanks: Mapping[str, Any]) -> Unusable | None:
    return _differ("items", (r.id for r in answer.items), (c.index for c in blanks["candidates"]))


def _perceptions_cover(answer: Perceptions, blanks: Mapping[str, Any]) -> Unusable | None:
    return _differ("items", (p.id for p in answer.items), (r.id for r in blanks["reviews"]))


def _official_covers(answer: OfficialJson, blanks: Mapping[str, Any]) -> Unusable | None:
    wanted = [c.index for c in blanks["candidates"]]
    notes = (n.id for n in answer.candidate_temp_perception)
    phrases = (p.id for p in answer.candidate_perception)
    return _differ("candidate_temp_perception", notes, wanted) or _differ("candidate_perception", phrases, wanted)


def _candidates(blanks: Mapping[str, Any]) -> dict[str, list[int]]:
    return {"items": [c.index for c in blanks["candidates"]]}


def _reviews(blanks: Mapping[str, Any]) -> dict[str, list[int]]:
    return {"items": [r.id for r in blanks["reviews"]]}


def _history_and_candidates(blanks: Mapping[str, Any]) -> dict[str, list[int]]:
    shown = [c.index for c in blanks["candidates"]]
    history = list(range(1, len(blanks["history"]) + 1))
    return {"user_history_perception": history, "candidate_temp_perception": shown, "candidate_perception": shown}


summarise_batch = Agent("cot_rec/summarise_batch", answer=ShortTermInterest)
merge_preference = Agent("cot_rec/merge_preference", answer=LongTermPreference)
write_reviews = Agent("cot_rec/write_reviews", answer=Reviews, check=_reviews_cover, among=_candidates)
write_review = Agent("cot_rec/write_review", answer=Review)
extract_perceptions = Agent("cot_rec/extract_perceptions", answer=Perceptions, check=_perceptions_cover, among=_reviews)
extract_perception = Agent("cot_rec/extract_perception", answer=Perception)
official_keywords = Agent("cot_rec/official_keywords", answer=OfficialPreference)
official_preference_perception = Agent(
    "cot_rec/official_preference_perception",
    answer=OfficialJson,
    check=_official_covers,
    among=_history_and_candidates,
)
rank_titles = Chooser("cot_rec/rank_titles")
rank_preference = Chooser("cot_rec/rank_preference")
rank_perception = Chooser("cot_rec/rank_perception")
