"""What the data set is about, on its way to every prompt: one wrapper around each model that a run asks.

Agents are constants and nodes name roles; neither knows the data set. Whoever casts the roles of a run puts `InDomain`
around its models, and every agent finds the words there (`domain_of`). A bare model has the general ones.
"""

from __future__ import annotations

from typing import Any

from whyrec.llm.model import LanguageModel
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.records import Domain


class InDomain(Wrapper):
    """A model that is asked about one data set.

    Args:
        inner: the model, with all that is around it.
        domain: what the data set is about.
    """

    def __init__(self, inner: LanguageModel, domain: Domain) -> None:
        super().__init__(inner)
        self.domain = domain


def domain_of(llm: LanguageModel) -> Domain:
    """What the data set is about that this model is asked about; the general domain where nobody said."""
    around: Any = llm
    while around is not None:
        if isinstance(around, InDomain):
            return around.domain
        around = getattr(around, "inner", None)
    return Domain()
