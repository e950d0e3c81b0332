"""The recommenders of whyrec by name; apart from what trains them, since naming them needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KINDS: Mapping[str, str] = MappingProxyType(
    {"sasrec": "SASRec", "bert4rec": "BERT4Rec", "itemcf": "ItemCF", "popularity": "Popularity"}
)
"""As `whyrec fit` is told -> as it stands in tables."""
