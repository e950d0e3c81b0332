"""What several papers' graphs declare to the audit in the same words (`Workflow(audit=Rules(...))`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from whyrec.plugins.rules import Builds, Rule

R = Rule

DOMAIN: Mapping[str, Rule] = MappingProxyType({"domain": R.GIVEN})
"""The blank that every prompt about items has."""

HISTORY: Mapping[str, Rule] = MappingProxyType({**DOMAIN, "history": R.HISTORY})
"""The blanks of a prompt that shows a history."""

DESCRIBED: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {"shared/describe_item": {**DOMAIN, "item": R.CATALOGUE}}
)
"""The prompt by which items are described, in a run of its own or on the way."""

WHO: Mapping[str, Rule] = MappingProxyType(
    dict.fromkeys(("user", "split", "prefix", "events", "missing", "leaks", "selector", "way", "mode"), R.NUMBERS)
)
"""Fields of a result that say whose it is and how it was made."""

FROM_DESCRIPTIONS = Builds(("",), "descriptions are made of the catalogue alone")
FROM_PREFERENCES = Builds(("same",), "a preference made for a later split has read this split's target")
