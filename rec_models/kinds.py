"""Recommenders by name: those that only count, and those that plug-ins declare.

What is declared is one function from the training events to a recommender: it may count, or call `rec_models.fit.fit`
on a network of its own. Weights of others are not kept: what was trained is trained again when it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from rec_models.base import Recommender
from rec_models.collaborative.itemcf import ItemCF
from rec_models.collaborative.popularity import Popularity
from whyrec import plugins
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError

Maker = Callable[[SplitView, int], Recommender]
"""(what it may learn from: `view.sequences()` are all training events, seed) -> a recommender that is trained."""


@dataclass(frozen=True)
class RecommenderKind:
    """A recommender as a plug-in declares it.

    Attributes:
        name: for `whyrec fit NAME` and `whyrec eval cot_rec.table_1 -o recommender=NAME`.
        about: one line.
        make: trains it.
    """

    plugin_kind: ClassVar[plugins.Kind] = "recommenders"
    name: str
    about: str
    make: Maker


COUNTED: Mapping[str, Maker] = MappingProxyType(
    {"ItemCF": lambda view, _seed: ItemCF(view), "Popularity": lambda view, _seed: Popularity(view)}
)
"""Recommenders of the house without weights, which are counted anew from the data."""


def guests() -> list[str]:
    """Names of the recommenders of plug-ins."""
    return sorted(plugins.found("recommenders"))


def maker(name: str) -> Maker:
    """How a recommender of this name is made: one that only counts, or one of a plug-in.

    Raises:
        UnknownNameError: there is none.
    """
    if name in COUNTED:
        return COUNTED[name]
    guest = plugins.found("recommenders").get(name)
    if guest is None:
        raise UnknownNameError(
            "recommender", name, [*COUNTED, *guests()], hint="Is the plug-in named that declares it?"
        )
    make: Maker = guest.value.make
    return make


def digest_of(name: str) -> str:
    """Which version of a plug-in's recommender this is; "" for one of the house."""
    guest = plugins.found("recommenders").get(name)
    return "" if guest is None or name in COUNTED else guest.digest
