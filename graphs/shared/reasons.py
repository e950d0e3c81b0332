"""Which of several reasons fits best: a seam that graphs of any paper may choose by.

A scorer compares reasons with the text of what they are to explain (a behaviour, a question with its paragraphs). The
plain one is the cosine of an embedder's vectors; a thought space (rec_models/thought_space/space.py) has a tower of its
own for either side, and may have been trained on another data set than the one it is used on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from graphs.services import Services
from whyrec.embed import Embedder
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rec_models.thought_space.space import ThoughtSpace

PLAIN, RANDOM = "embedder", "random"  # name the scorers that need no space, where a space may be named


@runtime_checkable
class ReasonScorer(Protocol):
    """Says how well reasons fit."""

    def score(self, rationales: Sequence[str], behaviour: str) -> Sequence[float]:
        """One number per reason, higher for a better fit to this text; the same whatever the others are."""
        ...


@dataclass(frozen=True)
class PlainCosine:
    """Cosine of the vectors that one embedder gives both sides."""

    embedder: Embedder

    def score(self, rationales: Sequence[str], behaviour: str) -> list[float]:
        """Cosine in [-1, 1] per reason; 0 for a text the embedder knows no word of."""
        vectors = np.asarray(self.embedder.embed([behaviour, *rationales]), dtype=np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return [float(s) for s in unit[1:] @ unit[0]]


@dataclass(frozen=True)
class AnyReason:
    """The placebo: a number in [0, 1) that has nothing to do with fit, but is the same for the same two texts."""

    def score(self, rationales: Sequence[str], behaviour: str) -> list[float]:
        """A number per reason."""
        digests = (hashlib.blake2b(f"{behaviour}\x1f{r}".encode(), digest_size=8).digest() for r in rationales)
        return [int.from_bytes(d, "big") / 2.0**64 for d in digests]


@dataclass(frozen=True)
class InThoughtSpace:
    """cos(E1(reason), E2(text)) in a trained space (PULSE eq. 2)."""

    space: ThoughtSpace

    def score(self, rationales: Sequence[str], behaviour: str) -> list[float]:
        """Cosine in [-1, 1] per reason."""
        return [float(s) for s in self.space.scores(rationales, behaviour)]


def scorer_of(services: Services) -> ReasonScorer:
    """The scorer among the parts of these services; UnknownNameError where there is none."""
    return services.part(ReasonScorer)  # type: ignore[type-abstract]


def open_scorer(space: str, embedder: Callable[[], Embedder]) -> ReasonScorer:
    """The scorer of this name.

    Args:
        space: "embedder", "random" (a placebo), or the folder of a saved thought space.
        embedder: opens the one for plain cosine, or the one that the space's heads were trained over.

    Raises:
        UsageError: there is no space in that folder, or it was trained over another embedder.
    """
    if space == RANDOM:
        return AnyReason()
    if space == PLAIN:
        return PlainCosine(embedder())
    from rec_models.thought_space.space import ThoughtSpace

    return InThoughtSpace(ThoughtSpace.load(Path(space), embedder=embedder()))


def space_digest(space: str) -> str:
    """Digest of a saved space's weights, 16 hex digits; "" for what needs no space.

    A folder's name says nothing about what is in it, so a run's identity needs this.

    Raises:
        UsageError: there is no such space.
    """
    if space in (PLAIN, RANDOM):
        return ""
    weights = Path(space) / "space.safetensors"
    if not weights.is_file():
        raise UsageError(
            f"There is no thought space in {space!r}: name a folder that one was saved in, or {PLAIN!r} for the plain "
            "cosine of an embedder."
        )
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
