"""Where public data sets can be had, under which terms, and what vouches for the files.

A checksum stands here only with the place it was read from. Without one, the first download is recorded and said so
(whyrec/data/download/datasets.py). Names are those of `whyrec data get`; the folder made has the same name.
"""

from __future__ import annotations

from dataclasses import dataclass

_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_TFDS = "tensorflow/datasets, tensorflow_datasets/url_checksums/movielens.txt"
_AMAZON14 = "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles"
_AMAZON18 = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2"
_MIND = "https://recodatasets.z20.web.core.windows.net/newsrec"

_GROUPLENS_TERMS = (
    "GroupLens: research use; acknowledge it in publications (Harper & Konstan 2015); no commercial use and no "
    "redistribution without permission. See the README in the archive."
)
_LATEST_TERMS = (
    "GroupLens: research use; no commercial use without permission; redistribution is allowed under the same "
    "conditions. A development set: it may change. See the README in the archive."
)
_AMAZON14_TERMS = (
    "Amazon product data 2014, UCSD McAuley lab: given out for research; cite He & McAuley (WWW'16) and McAuley et al. "
    "(SIGIR'15). No formal licence was seen; the text belongs to Amazon, sellers and reviewers."
)
_AMAZON18_TERMS = (
    "Amazon review data 2018, UCSD McAuley lab: given out for research; cite Ni, Li & McAuley (EMNLP-IJCNLP'19). No "
    "formal licence was seen; the text belongs to Amazon, sellers and reviewers."
)
_MIND_TERMS = (
    "MIND, Microsoft News: intended for non-commercial research only, under the Microsoft Research License Terms "
    "(https://msnews.github.io). Cite Wu et al. (ACL'20)."
)
_YELP_TERMS = (
    "Yelp Open Dataset: academic, non-commercial use; no redistribution. The terms must be accepted by you, in person, "
    "at https://business.yelp.com/data/resources/open-dataset/."
)


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to fetch.

    Attributes:
        url: where from.
        into: sub-folder of the data set's folder, "" for the folder itself. Zip archives are unpacked there.
        sha256: published checksum, with `source`, or "".
        source: who published `sha256`.
        md5_url: address of a published .md5 file, or "".
    """

    url: str
    into: str = ""
    sha256: str = ""
    source: str = ""
    md5_url: str = ""

    @property
    def name(self) -> str:
        """File name."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Source:
    """A public data set. Without `files`, `manual` says what a person has to do."""

    name: str
    terms: str
    files: tuple[Remote, ...] = ()
    manual: str = ""


def _movielens(name: str, terms: str, sha256: str = "") -> Source:
    url = f"{_GROUPLENS}/{name}.zip"
    return Source(name, terms, (Remote(url, sha256=sha256, source=_TFDS if sha256 else "", md5_url=f"{url}.md5"),))


def _amazon14(category: str) -> Source:
    files = (f"{_AMAZON14}/reviews_{category}_5.json.gz", f"{_AMAZON14}/meta_{category}.json.gz")
    return Source(f"amazon14_5core_{category.lower()}", _AMAZON14_TERMS, tuple(Remote(u) for u in files))


def _amazon18(category: str) -> Source:
    files = (
        f"{_AMAZON18}/categoryFilesSmall/{category}_5.json.gz",
        f"{_AMAZON18}/metaFiles2/meta_{category}.json.gz",
    )
    return Source(f"amazon18_5core_{category.lower()}", _AMAZON18_TERMS, tuple(Remote(u) for u in files))


# fmt: off
_CATEGORIES_14 = (
    "Amazon_Instant_Video", "Apps_for_Android", "Automotive", "Baby", "Beauty", "Books", "CDs_and_Vinyl",
    "Cell_Phones_and_Accessories", "Clothing_Shoes_and_Jewelry", "Digital_Music", "Electronics",
    "Grocery_and_Gourmet_Food", "Health_and_Personal_Care", "Home_and_Kitchen", "Kindle_Store", "Movies_and_TV",
    "Musical_Instruments", "Office_Products", "Patio_Lawn_and_Garden", "Pet_Supplies", "Sports_and_Outdoors",
    "Tools_and_Home_Improvement", "Toys_and_Games", "Video_Games",
)
_CATEGORIES_18 = (
    "AMAZON_FASHION", "All_Beauty", "Appliances", "Arts_Crafts_and_Sewing", "Automotive", "Books", "CDs_and_Vinyl",
    "Cell_Phones_and_Accessories", "Clothing_Shoes_and_Jewelry", "Digital_Music", "Electronics", "Gift_Cards",
    "Grocery_and_Gourmet_Food", "Home_and_Kitchen", "Industrial_and_Scientific", "Kindle_Store", "Luxury_Beauty",
    "Magazine_Subscriptions", "Movies_and_TV", "Musical_Instruments", "Office_Products", "Patio_Lawn_and_Garden",
    "Pet_Supplies", "Prime_Pantry", "Software", "Sports_and_Outdoors", "Tools_and_Home_Improvement", "Toys_and_Games",
    "Video_Games",
)
# fmt: on

_ALL = (
    _movielens("ml-100k", _GROUPLENS_TERMS, "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
    _movielens("ml-1m", _GROUPLENS_TERMS, "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
    _movielens("ml-latest-small", _LATEST_TERMS),
    Source(
        "mind_small",
        _MIND_TERMS,
        tuple(Remote(f"{_MIND}/MINDsmall_{part}.zip", into=part) for part in ("train", "dev")),
    ),
    Source(
        "yelp",
        _YELP_TERMS,
        manual="Accept the terms there, download the JSON archive, and put yelp_academic_dataset_review.json and "
        "yelp_academic_dataset_business.json (plain or .gz)",
    ),
    *(_amazon14(category) for category in _CATEGORIES_14),
    *(_amazon18(category) for category in _CATEGORIES_18),
)
SOURCES = {source.name: source for source in _ALL}

# Samples that show that code runs: too small, or with too few texts that join, for anything else. No table judges a
# claim on them. By the name of their folder.
SAMPLES = {
    "amazon14_musical_instruments_reviews": "1,429 users",
    "amazon18_all_beauty_reviews": "991 users of 85 items",
    "amazon18_gift_cards_reviews": "458 users of 148 items",
    "amazon_fine_food_1k": "1,000 interactions",
    "mind_small_sample": "a sample of MIND in which under 3 % of the items join their text",
}
