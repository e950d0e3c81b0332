"""`world`: a generated data set whose truth is known, so that a method can be held against it.

Eight latent topics. Items mix them, and their titles, brands, descriptions and reviews are made from topic words;
users drift from one topic to another, choose by the taste of the moment (or by the last item, or by popularity), and
rate by the match. `World.corpus` looks like any data set; `World.truth` holds what nobody else can know: the items'
topics and the users' tastes as they drift, never a drawn item. The three settings are frozen: a test pins their
digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from whyrec.data.corpus import Corpus
from whyrec.data.generated import world_text
from whyrec.data.generated.world_draw import N_TOPICS, SETTINGS, Crowd, Shop, crowds, source, stock, tastes
from whyrec.data.readers.domains import DOMAINS
from whyrec.errors import UnknownNameError, UsageError

NAME: Final = "world"
USERS, ITEMS = 2_000, 800
REVIEWS_UP_TO: Final = 50_000  # users; above this reviews are made only when asked for
_MIN_ITEMS: Final = 24
_DEFAULTS: Final[Mapping[str, Any]] = {
    "setting": "default",
    "users": USERS,
    "items": ITEMS,
    "seed": 0,
    "reviews": None,
}


@dataclass(frozen=True, eq=False)
class Truth:
    """What the world was made from.

    Attributes:
        item_topics: float32[I + 1, T], rows sum to 1; row 0 (padding) is zero.
        topic_names: what a person would call each topic.
        topic_words: per topic, the words that tell of it (each belongs to one topic only).
        seed: of the world; difficulties depend on it.
    """

    item_topics: npt.NDArray[np.float32]
    topic_names: tuple[str, ...]
    topic_words: tuple[tuple[str, ...], ...]
    seed: int
    _old: npt.NDArray[np.int8]
    _new: npt.NDArray[np.int8]
    _turn: npt.NDArray[np.float32]
    _reach: npt.NDArray[np.float64]

    def taste(self, user: int, n_events: int) -> npt.NDArray[np.float32]:
        """Taste [T] (sums to 1) that governed the last of the user's first `n_events` events.

        It is a matter of the user and of time alone: what came next is not in it. With no event it is the first taste.

        Raises:
            IndexError: no such user.
        """
        if not 0 <= user < len(self._old):
            raise IndexError(f"User {user} is outside 0..{len(self._old) - 1}.")
        one = slice(user, user + 1)
        event = np.array([float(max(n_events - 1, 0))])
        turn = self._turn[one].astype(np.float64)
        found = tastes(self._old[one].astype(np.int64), self._new[one].astype(np.int64), turn, event)
        mine: npt.NDArray[np.float32] = found[0].astype(np.float32)
        return mine

    def oracle(self, taste: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Chance [I + 1] of each item when this taste asks: the best ranking that taste and popularity allow."""
        return np.concatenate([[0.0], taste.astype(np.float64) @ self._reach[:-1]])

    def difficulty(self, user: int, split: str) -> float:
        """Latent difficulty in [0, 1) of one example, whatever the method: how likely a true answer is lost."""
        return self._uniform("user", user, split)

    def item_difficulty(self, item: int) -> float:
        """Latent difficulty in [0, 1) of telling what an item is."""
        return self._uniform("item", item, "")

    def _uniform(self, kind: str, index: int, split: str) -> float:
        digest = hashlib.blake2b(f"{self.seed}/{kind}/{index}/{split}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2.0**64


@dataclass(frozen=True, eq=False)
class World:
    """A generated data set and the truth behind it."""

    corpus: Corpus
    truth: Truth


def make(
    setting: str = "default",
    *,
    users: int | None = None,
    items: int | None = None,
    seed: int = 0,
    reviews: bool | None = None,
) -> World:
    """Generate a world. Equal arguments give equal worlds, and fewer users are the beginning of more.

    Args:
        setting: "easy", "default" or "hard".
        users: how many (default 2,000), from 1 to millions: memory is the corpus' own arrays.
        items: how many (default 800), at least 24.
        seed: of everything drawn.
        reviews: whether to write reviews; by default only up to 50,000 users.

    Raises:
        UnknownNameError: no such setting.
        UsageError: too few users or items, or a negative seed.
    """
    if setting not in SETTINGS:
        raise UnknownNameError("world setting", setting, SETTINGS)
    n_users, n_items = USERS if users is None else users, ITEMS if items is None else items
    if n_users < 1 or n_items < _MIN_ITEMS or seed < 0:
        raise UsageError(
            f"A world needs at least 1 user, {_MIN_ITEMS} items and a seed of 0 or more; "
            f"it was asked for {n_users} users, {n_items} items and seed {seed}."
        )
    rng = source(seed, 3)
    shop = stock(SETTINGS[setting], n_items, rng)
    catalogue = world_text.catalogue(shop.topics, shop.brand_of, SETTINGS[setting].untidy, rng)
    wanted = n_users <= REVIEWS_UP_TO if reviews is None else reviews
    crowd, spoken = _gather(shop, crowds(shop, SETTINGS[setting], n_users, seed), wanted)
    asked = {"setting": setting, "users": n_users, "items": n_items, "seed": seed, "reviews": reviews}
    corpus = Corpus(
        name=_spec({k: v for k, v in asked.items() if v != _DEFAULTS[k]}),
        offsets=np.concatenate([[0], np.cumsum(crowd.lengths)]),
        items=crowd.items,
        user_ids=pl.select(pl.format("u{}", pl.int_range(n_users))).to_series().alias("user"),
        catalogue=catalogue,
        times=crowd.times,
        ratings=crowd.ratings,
        reviews=spoken,
        domain=DOMAINS["products"],
        notes={"generated": f"setting {setting}, {N_TOPICS} latent topics, seed {seed}"},
    )
    return World(corpus, _truth(shop, crowd, seed))


def _truth(shop: Shop, crowd: Crowd, seed: int) -> Truth:
    return Truth(
        item_topics=np.vstack([np.zeros((1, N_TOPICS)), shop.topics]).astype(np.float32),
        topic_names=tuple(t.name for t in world_text.TOPICS),
        topic_words=tuple(t.words for t in world_text.TOPICS),
        seed=seed,
        _old=crowd.old,
        _new=crowd.new,
        _turn=crowd.turn,
        _reach=shop.reach,
    )


def load(spec: str) -> World:
    """The world a name stands for: "world", "world:hard", "world:users=20000,items=2000,seed=3,setting=easy".

    `load(world.corpus.name)` makes the same world again.

    Raises:
        UsageError: not such a name, an unknown option, or a value that is not a number.
        UnknownNameError: no such setting.
    """
    head, _, rest = spec.partition(":")
    if head != NAME:
        raise UsageError(
            f"{spec!r} is not a generated world; those are called world, world:hard, world:users=200,seed=1."
        )
    options: dict[str, Any] = {}
    for part in rest.split(",") if rest else ():
        key, equals, value = part.strip().partition("=")
        if not equals:
            key, value = "setting", key
        if key not in _DEFAULTS:
            raise UsageError(f"A world has no option {key!r} (in {spec!r}). Known: {', '.join(_DEFAULTS)}.")
        if key in options:
            raise UsageError(f"The option {key!r} is given twice in {spec!r}.")
        options[key] = _value(key, value, spec)
    return make(options.pop("setting", "default"), **options)


def _value(key: str, text: str, spec: str) -> str | int | bool:
    """An option's value from its spelling."""
    if key == "setting":
        return text
    if key == "reviews":
        if text in {"yes", "no"}:
            return text == "yes"
        raise UsageError(f"reviews is yes or no, not {text!r} (in {spec!r}).")
    if not text.isdecimal():
        raise UsageError(f"{key} is a whole number, not {text!r} (in {spec!r}).")
    return int(text)


def _spec(changed: Mapping[str, Any]) -> str:
    """The shortest name that `load` turns into this world."""
    parts = []
    for key, value in changed.items():
        shown = ("yes" if value else "no") if key == "reviews" else value
        parts.append(str(value) if key == "setting" else f"{key}={shown}")
    return f"{NAME}:{','.join(parts)}" if parts else NAME


def _gather(shop: Shop, blocks: Iterable[Crowd], reviews: bool) -> tuple[Crowd, pl.Series | None]:
    """All blocks as one, without the draws, and the reviews if wanted."""
    columns: dict[str, list[npt.NDArray[Any]]] = {f.name: [] for f in fields(Crowd)}
    spoken: list[pl.Series] = []
    for block in blocks:
        if reviews:
            spoken.append(world_text.reviews(shop.topics[block.items - 1], block.ratings, block.draws))
        for name, parts in columns.items():
            parts.append(block.draws[:0] if name == "draws" else getattr(block, name))
    whole = Crowd(**{name: np.concatenate(parts) for name, parts in columns.items()})
    return whole, pl.concat(spoken).alias("review") if reviews else None
