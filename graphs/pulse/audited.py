"""What a tree of reasons may show and build on, for the audit of both graphs that grow one."""

from __future__ import annotations

from graphs.shared.audited import FROM_PREFERENCES, HISTORY
from whyrec.plugins.rules import Builds, Rule, Switch

_REFINED = {**HISTORY, "reason": Rule.SAID}
_JUDGED = {**HISTORY, "reasons": Rule.SAID}
BLANKS = {
    "pulse/base_reason": {**HISTORY, "similar": Rule.NEIGHBOURS},
    "pulse/specify_reason": _REFINED,
    "pulse/support_reason": _REFINED,
    "pulse/check_reason": _REFINED,
    "pulse/value_reasons": _JUDGED,
    "pulse/vote_reasons": _JUDGED,
}
EARLIER = {
    "preferences": FROM_PREFERENCES,
    "rationales": Builds(("train",), "a thought space learns from rationales of the train split (phase I)"),
}
SWITCHES = {
    "behaviour": Switch("behaviour texts name the target", frozenset({Rule.BEHAVIOUR})),
    "neighbours": Switch("similar users' validation and test items are shown", frozenset({Rule.NEIGHBOURS})),
}
