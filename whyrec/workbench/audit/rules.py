"""What may stand where: one table for blanks, one for results, one for earlier runs, one for switches that leak.

Spec 8 says which artefact may read what. Here that is said per blank of every prompt and per field of every result, so
that an audit looks up what it finds instead of guessing. What is not in a table is held to the strictest rule: nothing
later than the history shown may stand there. A test holds that every prompt and workflow of the house is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from graphs.workflow import guest, guests
from whyrec.plugins.rules import LEAK, Builds, Rule, Switch

R = Rule
_DOMAIN = {"domain": R.GIVEN}
_HISTORY = {"history": R.HISTORY}
_REFINED = {**_HISTORY, "reason": R.SAID}
_JUDGED = {**_HISTORY, "reasons": R.SAID}
_ROW = {
    "profile": R.GIVEN, "history": R.HISTORY, "above": R.GIVEN, "opinion": R.GIVEN, "item": R.QUESTION,
}  # fmt: skip
_SEARCHED = {"question": R.ASKED, "steps": R.STEPS, "number": R.NUMBERS, "most": R.NUMBERS}
_READ = {"question": R.ASKED, "paragraphs": R.PARAGRAPHS}

_TABLE: Mapping[str, Mapping[str, Rule]] = {
    "shared/describe_item": {"item": R.CATALOGUE},
    "cot_rec/summarise_batch": _HISTORY,
    "cot_rec/merge_preference": {"long": R.SAID, "short": R.SAID},
    "cot_rec/official_keywords": _HISTORY,
    "cot_rec/official_preference_perception": {**_HISTORY, "candidates": R.CANDIDATES},
    "cot_rec/write_review": {"preference": R.SAID, "item": R.CANDIDATES},
    "cot_rec/write_reviews": {"preference": R.SAID, "candidates": R.CANDIDATES},
    "cot_rec/extract_perception": {"review": R.OF_CANDIDATES},
    "cot_rec/extract_perceptions": {"reviews": R.OF_CANDIDATES},
    "cot_rec/rank_titles": {**_HISTORY, "options": R.CANDIDATES},
    "cot_rec/rank_preference": {**_HISTORY, "preference": R.SAID, "options": R.CANDIDATES},
    "cot_rec/rank_perception": {**_HISTORY, "preference": R.SAID, "options": R.CANDIDATES},
    "pulse/rationale": {**_HISTORY, "item": R.EXPLAINED},
    "pulse/base_reason": {"similar": R.NEIGHBOURS, **_HISTORY},
    "pulse/specify_reason": _REFINED,
    "pulse/support_reason": _REFINED,
    "pulse/check_reason": _REFINED,
    "pulse/value_reasons": _JUDGED,
    "pulse/vote_reasons": _JUDGED,
    "pulse/choose": {**_HISTORY, "options": R.CANDIDATES},
    "pulse/choose_with_reason": {**_HISTORY, "reason": R.SAID, "options": R.CANDIDATES},
    "scoter/generate": _HISTORY,
    "scoter/follow": {"steps": R.GIVEN, **_HISTORY},
    "scoter/teach": {"steps": R.GIVEN, **_HISTORY},
    "scoter/abstract": {"performance": R.OVER_USERS, "paths": R.OVER_USERS},
    "rallrec/reason": _ROW,
    "rallrec/click": {**_ROW, "thoughts": R.OF_QUESTION},
    "hotpotqa/standard": _READ,
    "hotpotqa/cot": _READ,
    "hotpotqa/reason": _READ,
    "hotpotqa/conclude": {**_READ, "reason": R.SAID},
    "hotpotqa/act": _SEARCHED,
    "hotpotqa/react": _SEARCHED,
    "hotpotqa/next_action": {**_SEARCHED, "thought": R.SAID},
}
BLANKS: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {name: {**blanks, **({} if name.startswith("hotpotqa/") else _DOMAIN)} for name, blanks in _TABLE.items()}
)
"""Prompt -> blank -> rule."""

_OF = dict.fromkeys(("user", "split", "prefix", "events", "missing", "leaks", "selector", "way", "mode"), R.NUMBERS)
_MADE_OF_ITEM: dict[str, Rule] = dict.fromkeys(("item", "index", "text", "type", "topics", "audience"), R.CATALOGUE)
_CHAINS = {
    **_OF, "template": R.GIVEN, "chains": R.SAID, "hit": R.NUMBERS, "ndcg": R.NUMBERS, "percentile": R.NUMBERS,
}  # fmt: skip
_RETRIEVED = {
    **_OF, "row": R.NUMBERS, "item": R.QUESTION, "shown": R.HISTORY, "places": R.NUMBERS, "scores": R.NUMBERS,
    "similarity": R.NUMBERS,
}  # fmt: skip

_READINGS = (
    "p", "ways", "own", "variance", "expert", "expert_variance", "probability", "tokens", "characters", "cut_off",
    "votes",
)  # fmt: skip

RESULTS: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "cot_rec.describe": _MADE_OF_ITEM,
        "rallrec.describe": _MADE_OF_ITEM,
        "cot_rec.preference": {
            **_OF, "text": R.SAID, "keywords": R.SAID, "kept": R.SAID, "dropped": R.SAID, "added": R.SAID,
            "batches": R.NUMBERS, "merges": R.NUMBERS,
        },
        "cot_rec.perception": {**_OF, "preference": R.SAID, "perceptions": R.OF_CANDIDATES},
        "cot_rec.recommend": {
            **_OF, "retrieved": R.NUMBERS, "shown": R.NUMBERS, "probabilities": R.NUMBERS, "ranking": R.OF_CANDIDATES,
            "preference": R.SAID, "perceptions": R.OF_CANDIDATES,
        },
        "pulse.rationale": {
            **_OF, "target": R.EXPLAINED, "index": R.EXPLAINED, "text": R.OF_EXPLAINED, "cues": R.OF_EXPLAINED,
            "names_target": R.NUMBERS, "drafts": R.NUMBERS,
        },
        "pulse.refine": {
            **_OF, "similar": R.NEIGHBOURS, "behaviour": R.BEHAVIOUR, "thoughts": R.SAID, "judged": R.NUMBERS,
            "unjudged": R.NUMBERS, "leaves": R.NUMBERS, "scores": R.NUMBERS, "chosen": R.NUMBERS, "unscored": R.NUMBERS,
        },
        "pulse.choose": {
            **_OF, "reason": R.SAID, "shown": R.NUMBERS, "probabilities": R.NUMBERS, "mass": R.NUMBERS,
        },
        "scoter.generate": _CHAINS,
        "scoter.validate": _CHAINS,
        "scoter.distil": {
            **_OF, "template": R.GIVEN, "steps": R.GIVEN, "overall": R.SAID, "sections": R.SAID, "summary": R.SAID,
        },
        "rallrec.retrieve": _RETRIEVED,
        "rallrec.predict": {
            **_RETRIEVED, "hint": R.GIVEN,
            **dict.fromkeys(_READINGS, R.NUMBERS),
        },
        "hotpotqa.react": {
            **dict.fromkeys(("question", "index", "mode", "finished", "missing", "scores", "chosen"), R.NUMBERS),
            "answer": R.SAID, "steps": R.STEPS, "reasons": R.SAID,
        },
    }
)  # fmt: skip
"""Graph -> field of its result -> rule. scoter.mine is of many users and no one's: its splits are checked instead."""


EARLIER: Mapping[str, Builds] = MappingProxyType(
    {
        "descriptions": Builds(("",), "descriptions are made of the catalogue alone"),
        "item_texts": Builds(("",), "descriptions are made of the catalogue alone"),
        "preferences": Builds(("same",), "a preference made for a later split has read this split's target"),
        "perceptions": Builds(("same",), "a perception made for a later split has read this split's target"),
        "reasons": Builds(("same",), "a reason made for a later split has read this split's target"),
        "expert_run": Builds(("same",), "another split's rows have other histories"),
        "base": Builds(("same", "earlier"), "a fold goes on from a prefix, never from something longer"),
        "user_texts": Builds(
            ("valid",), "a recommender is trained on s[:-2], so the texts it starts from are made of it"
        ),
        "rationales": Builds(("train",), "a thought space learns from rationales of the train split (phase I)"),
        "generate": Builds(("same",), "chains are scored against the target of the split they were made for"),
        "validate": Builds(("train", "valid"), "templates are mined from train or validation targets"),
        "template": Builds(("train", "valid"), "templates are mined from train or validation targets", same_data=False),
        "space": Builds(("",), "a space learnt from questions learns from other questions", same_data=False),
    }
)
"""Option -> what it may name."""


SWITCHES: Mapping[tuple[str, str], Switch] = MappingProxyType(
    {
        ("pulse.rationale", "target"): Switch(
            "test targets are explained", frozenset({R.EXPLAINED, R.OF_EXPLAINED})
        ),
        ("pulse.refine", "behaviour"): Switch("behaviour texts name the target", frozenset({R.BEHAVIOUR})),
        ("pulse.choose", "behaviour"): Switch("behaviour texts name the target", frozenset({R.BEHAVIOUR})),
        ("pulse.refine", "neighbours"): Switch(
            "similar users' validation and test items are shown", frozenset({R.NEIGHBOURS})
        ),
        ("pulse.choose", "neighbours"): Switch(
            "similar users' validation and test items are shown", frozenset({R.NEIGHBOURS})
        ),
    }
)  # fmt: skip
"""(graph, option) -> what it leaks where its value ends with LEAK."""


def blanks_of(prompt: str) -> Mapping[str, Rule] | None:
    """The rules of a prompt's blanks; None where nobody declares any."""
    if prompt in BLANKS:
        return BLANKS[prompt]
    return next((flow.audit.blanks[prompt] for flow in guests() if prompt in flow.audit.blanks), None)


def results_of(graph: str) -> Mapping[str, Rule] | None:
    """The rules of a graph's results; None where nobody declares any."""
    flow = guest(graph)
    return RESULTS.get(graph) if flow is None else flow.audit.results or None


def earlier_of(graph: str) -> Mapping[str, Builds]:
    """What options of a graph may name."""
    flow = guest(graph)
    return EARLIER if flow is None else {**EARLIER, **flow.audit.earlier}


def switch_of(graph: str, option: str) -> Switch | None:
    """What an option of a graph leaks on purpose, and lifts."""
    flow = guest(graph)
    return SWITCHES.get((graph, option)) if flow is None else flow.audit.switches.get(option)


__all__ = [
    "BLANKS", "EARLIER", "LEAK", "RESULTS", "SWITCHES", "Builds", "Rule", "Switch", "blanks_of", "earlier_of",
    "results_of", "switch_of",
]  # fmt: skip
