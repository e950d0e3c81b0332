"""How the simulated model words a reason: `simulated:1?reasons=partial`.

By default a reason says all that was read, in the words of the titles. With `reasons=partial` it speaks of one
interest, drawn from what was read of the user in that prompt, and is worded as people speak of interests ("rapt by
night skies"), in words that no title, description or review of `world` has. Whoever reads it knows those words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.naming.address import read_options

_CHOICES: Final = {"reasons": ("whole", "partial")}

OWN_WORDS: Final[tuple[tuple[str, ...], ...]] = tuple(
    tuple(words.split())
    for words in (
        "wanderlust roaming fresh-air hardiness footloose ramble weatherproofed outdoorsy",
        "wakefulness connoisseur ritual-of-mornings alertness bittersweetness savouring perk-up sipping",
        "self-care gentleness pampering freshness-of-face youthfulness delicacy vanity spa-like",
        "competitiveness play thrill-of-winning reflexes make-believe screen-time adrenaline teamwork",
        "patience growth green-fingered harvest homegrown springtime soil-under-nails nurture",
        "virtuosity listening stagecraft tunefulness practice-makes-perfect expressiveness loudness bandmates",
        "sweet-tooth warmth-of-home treat-making indulgence comfort-food crumbs birthday-tables sharing",
        "wonder night-owl vastness curiosity-for-space far-sightedness darkness-seeking cosmos skyward-gaze",
    )
)
"""Per topic of `world`, in the order of its topics."""


@dataclass(frozen=True)
class Manner:
    """See the module.

    Attributes:
        partial: a reason speaks of one interest, in words of its own.
    """

    partial: bool = False

    @property
    def suffix(self) -> str:
        """What stands behind the quality in the model's name."""
        return "?reasons=partial" if self.partial else ""


def read_name(rest: str) -> tuple[float, Manner]:
    """Quality and manner of "0.8" or "0.8?reasons=partial".

    Raises:
        UsageError: the quality is no number from 0 to 1.
        UnknownNameError: an option, or a value of one, that there is not.
    """
    number, _, options = rest.partition("?")
    try:
        quality = float(number)
    except ValueError:
        quality = -1.0
    if not 0 <= quality <= 1:
        raise UsageError(f"The quality of simulated is a number from 0 to 1 (simulated:0.8), not {number!r}.")
    given = read_options(options, "&")
    for name, value in given.items():
        if name not in _CHOICES:
            raise UnknownNameError("option of simulated", name, _CHOICES)
        if value not in _CHOICES[name]:
            raise UnknownNameError(f"value of simulated's {name}", value, _CHOICES[name])
    return quality, Manner(given.get("reasons") == "partial")
