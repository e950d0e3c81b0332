"""What the things of `world` are called: a small vocabulary per latent topic, and texts drawn from it.

Every topic word belongs to one topic only, so a reader can go from a text back to topics; each word of a text is
drawn from the item's own topic mixture, and with the setting's `babble` from a topic at random. Real catalogues are
untidy, and so is this one: missing fields, two ids under one title, titles in several scripts, and titles
of 300 characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Topic:
    """One latent topic in words.

    Attributes:
        name: what a person would call it.
        kinds: nouns a thing of this topic may be.
        looks: adjectives.
        uses: what it is for or made of.
        brands: who makes it.
        shelf: the category path's first step.
    """

    name: str
    kinds: tuple[str, ...]
    looks: tuple[str, ...]
    uses: tuple[str, ...]
    brands: tuple[str, ...]
    shelf: str

    @property
    def words(self) -> tuple[str, ...]:
        """Every word that tells of this topic, lower case, brands apart."""
        return (self.name, *self.kinds, *self.looks, *self.uses)


def _topic(name: str, shelf: str, kinds: str, looks: str, uses: str, brands: str) -> Topic:
    k, a, u, b = (tuple(s.split()) for s in (kinds, looks, uses, brands))
    return Topic(name, k, a, u, b, shelf)


TOPICS: Final[tuple[Topic, ...]] = (
    _topic(
        "hiking",
        "Outdoor",
        "socks boots backpack tent compass poncho gaiters flask poles hammock",
        "waterproof rugged alpine windproof trailworthy insulated",
        "trekking camping summit wilderness backcountry mountains",
        "Ridgeline Northpeak Cairn Fellwalk",
    ),
    _topic(
        "coffee",
        "Kitchen",
        "grinder kettle espresso beans portafilter tamper mug percolator roaster dripper",
        "roasted aromatic arabica caffeinated robust velvety",
        "brewing crema barista latte aeropress cappuccino",
        "Brewhaus Mokaria Tostino Kaldi",
    ),
    _topic(
        "skincare",
        "Beauty",
        "serum moisturizer cleanser toner sunscreen balm exfoliant lotion mask retinol",
        "hydrating soothing fragrance-free dermatological radiant nourishing",
        "collagen hyaluronic pores complexion wrinkles glow",
        "Dewlab Clarisse Velaskin Lumea",
    ),
    _topic(
        "gaming",
        "Games",
        "controller headset joystick console keyboard cartridge gamepad monitor figurine arcade",
        "multiplayer retro immersive tactical pixelated competitive",
        "quests esports dungeons speedrun raids leaderboard",
        "Pixelforge Respawn Bytebeast Lootbox",
    ),
    _topic(
        "gardening",
        "Garden",
        "trowel pruner seeds planter compost trellis hose secateurs wheelbarrow seedlings",
        "organic perennial fertile evergreen heirloom blooming",
        "planting mulching vegetables weeding orchard greenhouse",
        "Greenthumb Sproutwell Loamy Fernhill",
    ),
    _topic(
        "music",
        "Instruments",
        "guitar ukulele metronome amplifier pedal strings drumsticks tuner keyboardist capo",
        "acoustic resonant melodic analog rhythmic harmonic",
        "chords jamming recording improvising orchestra fingerpicking",
        "Fretwork Sonora Tempoline Cadenza",
    ),
    _topic(
        "baking",
        "Bakery",
        "whisk dough sourdough rollingpin muffin yeast spatula cupcakes fondant breadpan",
        "buttery crusty glutenfree leavened sugary flaky",
        "kneading frosting pastry proofing cookies oven",
        "Crumbly Levain Butterfold Panetta",
    ),
    _topic(
        "astronomy",
        "Optics",
        "telescope eyepiece binoculars planetarium starmap tripod refractor spectroscope filter finderscope",
        "celestial lunar orbital stellar nocturnal apochromatic",
        "stargazing nebulae eclipse galaxies constellations astrophotography",
        "Zenithal Orionis Skyward Perihelion",
    ),
)
GENERIC: Final = ("classic", "original", "daily", "set", "series", "compact", "premium", "basic")
FLOURISHES: Final = ("Édition Spéciale", "für Zuhause", "日本語版", "✨ Новинка", "Niño & Niña", "naïve café", "Ελλάς")
GOOD: Final = ("love it", "exactly what I wanted", "great", "would buy again", "very happy with this")
MIXED: Final = ("it is fine", "does the job", "so so", "not bad, not great", "as expected")
BAD: Final = ("not for me", "disappointed", "sent it back", "waste of money", "I do not need this")


@dataclass(frozen=True, slots=True)
class Untidiness:
    """How unreliable the catalogue's text is.

    Attributes:
        babble: share of words drawn from a random topic instead of the item's own.
        missing: chance that a field (description, brand, categories) is empty; a tenth of it, that all are.
    """

    babble: float
    missing: float


def catalogue(topics: Floats, brand_of: Ints, untidy: Untidiness, rng: np.random.Generator) -> pl.DataFrame:
    """Texts for every item.

    Args:
        topics: [I, T] topic mixtures.
        brand_of: [I] index of the item's brand within its first topic.
        untidy: how unreliable the text is.
        rng: where the draws come from.

    Returns:
        The catalogue in `Corpus` layout.
    """
    n = len(topics)
    words = _pick_topics(topics, untidy.babble, rng.random((n, 14, 2)))
    u, fate = rng.random((n, 14)), rng.random((n, 8))
    rows = [_item_text(int(topics[i].argmax()), words[i], u[i], int(brand_of[i])) for i in range(n)]
    titles = [_untidy_title(row[0], fate[i]) for i, row in enumerate(rows)]
    for i in np.flatnonzero(fate[:, 3] < 0.02):  # two ids under one title
        titles[i] = titles[i - 1 if i else n - 1]
    gone = fate[:, 4] < untidy.missing / 10
    lost = (fate[:, 5:8] < untidy.missing) | gone[:, None]
    return pl.DataFrame(
        {
            "id": [f"i{i + 1}" for i in range(n)],
            "title": ["" if gone[i] else titles[i] for i in range(n)],
            "description": ["" if lost[i, 0] else rows[i][1] for i in range(n)],
            "brand": ["" if lost[i, 1] else rows[i][2] for i in range(n)],
            "categories": [[] if lost[i, 2] else list(rows[i][3]) for i in range(n)],
        },
        schema={
            "id": pl.String,
            "title": pl.String,
            "description": pl.String,
            "brand": pl.String,
            "categories": pl.List(pl.String),
        },
    )


def reviews(topics: Floats, ratings: npt.NDArray[np.float32], draws: Floats) -> pl.Series:
    """One line per interaction: how it went, and three words of the item's topics.

    Args:
        topics: [N, T] topic mixture of each row's item.
        ratings: [N] stars.
        draws: [N, 8] uniform numbers.
    """
    words = pl.Series([w for t in TOPICS for w in t.words], dtype=pl.String)
    per = len(words) // len(TOPICS)
    picked = _pick_topics(topics, 0.0, np.stack([draws[:, :3], draws[:, :3]], axis=2))
    index = picked * per + (draws[:, 3:6] * per).astype(np.int64)
    moods = pl.Series([*BAD, *MIXED, *GOOD], dtype=pl.String)
    mood = np.digitize(ratings, [2.5, 3.5]) * len(GOOD) + (draws[:, 6] * len(GOOD)).astype(np.int64)
    frame = pl.DataFrame({"mood": moods.gather(mood), **{f"w{k}": words.gather(index[:, k]) for k in range(3)}})
    return frame.select(pl.format("{}: {}, {} and {}.", "mood", "w0", "w1", "w2").alias("review"))["review"]


def _pick_topics(topics: Floats, babble: float, draws: Floats) -> Ints:
    """Topic of each word slot, [N, S], from mixtures [N, T] and uniform draws [N, S, 2]."""
    cdf = topics.cumsum(axis=1)[:, None, :] / topics.sum(axis=1)[:, None, None]
    own = (draws[:, :, :1] >= cdf[:, :, :-1]).sum(axis=2)
    stray = draws[:, :, 1] < babble
    picked: Ints = np.where(stray, (draws[:, :, 1] / max(babble, 1e-9) * topics.shape[1]).astype(np.int64), own)
    return picked


def _item_text(first: int, t: Ints, u: Floats, brand_index: int) -> tuple[str, str, str, tuple[str, ...]]:
    """(title, description, brand, categories) from word topics `t` and uniform draws `u`, 14 of each."""

    def word(slot: int, kind: str) -> str:
        options: tuple[str, ...] = getattr(TOPICS[t[slot]], kind)
        return options[int(u[slot] * len(options))]

    brand = TOPICS[first].brands[brand_index % len(TOPICS[first].brands)]
    generic = GENERIC[int(u[13] * len(GENERIC))]
    title = f"{brand} {word(0, 'looks')} {word(1, 'kinds')} {generic}".title()
    if u[12] < 0.5:
        title += f" with {word(2, 'kinds')}"
    looks = " and ".join(dict.fromkeys((word(3, "looks"), word(4, "looks"))))
    description = (
        f"{'An' if looks[0] in 'aeiou' else 'A'} {looks} {word(1, 'kinds')} for {word(5, 'uses')} "
        f"and {word(6, 'uses')}. "
        f"Goes well with {word(7, 'kinds')} and {word(8, 'kinds')}; made for {word(9, 'uses')}."
    )
    if u[11] < 0.5:
        description += f" People who care about {word(10, 'uses')} choose it."
    shelf = TOPICS[t[11]].shelf
    return title, description, brand, (shelf, word(1, "kinds").title())


def _untidy_title(title: str, fate: Floats) -> str:
    """The title with the oddities that real ones have."""
    if fate[0] < 0.04:
        title = f"{title} {FLOURISHES[int(fate[0] / 0.04 * len(FLOURISHES))]}"
    if fate[1] < 0.03:
        title += f" (Pack of {2 + int(fate[1] / 0.03 * 10)})"
    if fate[2] < 0.01:
        title = " - ".join([title, *[f"{g} {title.lower()}" for g in GENERIC]])[:320].rstrip()
    return title
