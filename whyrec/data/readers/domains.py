"""What data sets are about: the words a prompt has for their items, their users, and what these do with them.

"The films this viewer watched" is understood by small models that make nothing of "the items the user met". A data
set's domain follows from its folder's name, else from its format. `?domain=books` names another one, and
`?domain=recipe,recipes,cook,cooked,cook` (one, several, who, did, do) one that is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from whyrec.errors import UnknownNameError, UsageError
from whyrec.records import Domain

OPTION: Final = "domain"
DOMAINS: Final[Mapping[str, Domain]] = MappingProxyType(
    {
        "items": Domain(),
        "products": Domain("product", "products", "customer", "bought", "buy"),
        "films": Domain("film", "films", "viewer", "watched", "watch"),
        "books": Domain("book", "books", "reader", "read", "read"),
        "articles": Domain("news article", "news articles", "reader", "clicked", "click"),
        "places": Domain("place", "places", "visitor", "rated", "rate"),
        "games": Domain("game", "games", "player", "played", "play"),
        "music": Domain("album", "albums", "listener", "bought", "buy"),
    }
)
"""Known domains by the word that `?domain=` takes."""

# The longest beginning of a folder's name that is listed here decides; without one, the format does.
_FOLDERS: Final = {
    "amazon": "products",
    "amazon14_5core_books": "books",
    "amazon14_5core_kindle_store": "books",
    "amazon14_5core_movies_and_tv": "films",
    "amazon14_5core_amazon_instant_video": "films",
    "amazon14_5core_cds_and_vinyl": "music",
    "amazon14_5core_digital_music": "music",
    "amazon18_5core_books": "books",
    "amazon18_5core_kindle_store": "books",
    "amazon18_5core_movies_and_tv": "films",
    "amazon18_5core_cds_and_vinyl": "music",
    "book-crossing": "books",
    "mind": "articles",
    "ml-": "films",
    "steam": "games",
    "yelp": "places",
}
_FORMATS: Final = {
    "amazon": "products",
    "bookcrossing": "books",
    "mind": "articles",
    "movielens": "films",
    "yelp": "places",
}
_WORDS = 5  # of a domain written out
_LONGEST = 40  # characters of one of them


def domain_of(folder: str, form: str) -> Domain:
    """The domain of a data set by its folder's name, else by the name of its format; the general one for others."""
    name = folder.lower()
    found = max((start for start in _FOLDERS if name.startswith(start)), key=len, default="")
    return DOMAINS[_FOLDERS[found] if found else _FORMATS.get(form, "items")]


def read_domain(text: str) -> Domain:
    """The domain that `?domain=` names.

    Raises:
        UnknownNameError: one word, and no domain has that name.
        UsageError: it is written out, and not in five short words or phrases.
    """
    parts = [" ".join(part.split()) for part in text.split(",")]
    if len(parts) == 1:
        if parts[0] in DOMAINS:
            return DOMAINS[parts[0]]
        hint = "Or write it out in five words: ?domain=recipe,recipes,cook,cooked,cook (one, several, who, did, do)."
        raise UnknownNameError("domain", parts[0], DOMAINS, hint=hint)
    if len(parts) != _WORDS or not all(0 < len(part) <= _LONGEST for part in parts):
        raise UsageError(
            f"domain={text!r} is written out in {len(parts)} parts; it takes {_WORDS} of {_LONGEST} characters, "
            f"one thing, several, who, did, do, as in domain=recipe,recipes,cook,cooked,cook."
        )
    return Domain(*parts)
