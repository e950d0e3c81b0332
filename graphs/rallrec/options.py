"""Options that rallrec.retrieve and rallrec.predict share, and how their texts are read."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from whyrec.errors import UsageError

Mode: TypeAlias = Literal["rerank", "relevant", "recent", "hybrid", "two_thirds", "official"]
Kind: TypeAlias = Literal["concat", "text", "title", "description", "collaborative"]
MODES: tuple[Mode, ...] = ("rerank", "relevant", "recent", "hybrid", "two_thirds", "official")


@dataclass(frozen=True)
class Options:
    """Options of retrieval, and of which rows are asked.

    Attributes:
        split: whose rows.
        rows: how many, drawn at random from the split and frozen by `seed` (all if it has fewer); --users takes the
            first so many of the draw.
        seed: of the draw.
        protocol: how rows are made (whyrec/data/ctr.py); auto is shuffled for Book-Crossing, timeline for all others.
        liked_above: a rating above this is a click; "" for the data set's own (3, for Book-Crossing 4).
        retrieval: which events are shown: eq. 8, only one channel, text and collaborative halves, or the 2K/3 rules.
        vectors: what "relevant" compares: text (title and description), one of them, collaborative, or all (eq. 7).
        k: how many events are shown.
        gamma: weight of the relevant channel in eq. 8, such as 2/3; "" for 2/3, and for 1 where data have no time.
        beta: exponent of the place in eq. 8.
        twice: what an event in both channels gets.
        order: events are shown by score, best first, or oldest first.
        embedder: of texts; lsa is fitted on the catalogue.
        width: of the collaborative vectors.
        descriptions: id of a rallrec.describe (or cot_rec.describe) run; "" for the catalogue's own descriptions.
    """

    split: Literal["valid", "test"] = "test"
    rows: int = 10_000
    seed: int = 0
    protocol: Literal["auto", "timeline", "shuffled"] = "auto"
    liked_above: str = ""
    retrieval: Mode = "rerank"
    vectors: Kind = "concat"
    k: int = 30
    gamma: str = ""
    beta: str = "1"
    twice: Literal["max", "sum"] = "max"
    order: Literal["score", "time"] = "score"
    embedder: str = "lsa"
    width: int = 64
    descriptions: str = ""


def number(name: str, text: str, low: float, high: float) -> float:
    """An option's number, written as a decimal or a fraction.

    Raises:
        UsageError: it is none, or outside [low, high].
    """
    try:
        value = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"Option {name} is a number such as 0.5 or 2/3, not {text!r}.") from None
    if not low <= value <= high:
        raise UsageError(f"Option {name} lies between {low:g} and {high:g}, so not {text}.")
    return value


def check(options: Options) -> None:
    """Refuse what no run could use.

    Raises:
        UsageError: says which option and what it may be.
    """
    for name, low in (("rows", 1), ("k", 1), ("width", 1)):
        if getattr(options, name) < low:
            raise UsageError(f"Option {name} is at least {low}, not {getattr(options, name)}.")
    if options.gamma:
        number("gamma", options.gamma, 0.0, 1.0)
    number("beta", options.beta, 0.0, 10.0)
    if options.liked_above:
        number("liked_above", options.liked_above, -1e6, 1e6)
