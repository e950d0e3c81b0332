"""What chains may show and hold, for the audit of every graph that makes, scores or mines them."""

from __future__ import annotations

from graphs.shared.audited import HISTORY, WHO
from whyrec.plugins.rules import Builds, Rule

BLANKS = {"scoter/generate": HISTORY, "scoter/follow": {**HISTORY, "steps": Rule.GIVEN}}
RESULTS = {
    **WHO,
    "template": Rule.GIVEN,
    "chains": Rule.SAID,
    **dict.fromkeys(("hit", "ndcg", "percentile"), Rule.NUMBERS),
}
_WHY = "templates are mined from train or validation targets"
OF_TEMPLATES = {"template": Builds(("train", "valid"), _WHY, same_data=False)}
OF_CHAINS = {"generate": Builds(("same",), "chains are scored against the target of the split they were made for")}
OF_SCORED = {"validate": Builds(("train", "valid"), _WHY)}
