"""Readers: every format, plain and gzipped, by the name that a person would give to `--data`."""

from __future__ import annotations

import functools
import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import case, changed, dumps, edited, plain, with_cases
from fuzzing.target import Target

Files = dict[str, bytes]
Given = tuple[Files, str, str]  # files, which of them is packed, and how
Changing = tuple[bytes, st.SearchStrategy[bytes]]  # a sound file, and what becomes of it

_CSV = b"user,item,time,rating,title\n" + b"".join(
    f'u{n // 4},i{n % 5},{1593878000 + n},{n % 5 + 1},"Thing, {n % 5}"\n'.encode() for n in range(12)
)
_TABLE_CASES = ("d1_iso_ms.csv", "d2_float_time.csv", "d5_yyyymmdd.csv", "cr_header.csv", "likes01.csv")
_INTERACTIONS = b"user_id,item_id,timestamp,rating\n" + b"".join(
    f"u{n // 4},i{n % 5},{100 + n},{n % 5}\n".encode() for n in range(12)
)
_ITEMS = [{"item_id": f"i{n}", "title": f"Thing {n}", "categories": [["A", "B"]], "brand": "b"} for n in range(5)]
_REVIEWS = [{"user_id": "u0", "item_id": "i1", "summary": "ok", "text": "good"}]
_AMAZON = [
    {
        "reviewerID": f"U{n // 4}",
        "asin": f"B{n % 5}",
        "overall": 5.0,
        "unixReviewTime": n,
        "summary": "s &amp; t",
        "reviewText": "fine",
    }
    for n in range(12)
]
_META = [
    {"asin": f"B{n}", "title": "T", "description": ["d"], "categories": [["A", "B"]], "brand": "x"} for n in range(5)
]
_LITERALS = b"".join(repr(meta).encode() + b"\n" for meta in _META)
_RATINGS_DAT = b"".join(f"{n // 4}::{n % 5}::{n % 5 + 1}::{838985168 + n}\n".encode() for n in range(12))
_MOVIES_DAT = b"".join(f"{n}::Film {n} (1999)::Comedy|Drama\n".encode() for n in range(5))
_RATINGS_CSV = b"userId,movieId,rating,timestamp\n" + b"".join(
    f"{n // 4},{n % 5},{n % 5 + 1}.0,{838985168 + n}\n".encode() for n in range(12)
)
_MOVIES_CSV = b"movieId,title,genres\n" + b"".join(f'{n},"Film, {n} (1999)",Comedy|Drama\n'.encode() for n in range(5))
_U_DATA = b"".join(f"{n // 4}\t{n % 5}\t{n % 5 + 1}\t{838985168 + n}\n".encode() for n in range(12))
_U_ITEM = b"".join(
    (f"{n}|Film {n}|01-Jan-1995||http://x|" + "|".join("01" * 9 + "0") + "\n").encode() for n in range(5)
)
_BX_RATINGS = b'"User-ID";"ISBN";"Book-Rating"\n' + b"".join(
    f'"{n // 4}";"{n % 5:010}";"{n % 11}"\n'.encode() for n in range(12)
)
_BX_BOOKS = b'"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"L"\n' + b"".join(
    f'"{n:010}";"Salt &amp; Pepper \\"{n}\\"";"A";"2000";"P";"http://x"\n'.encode() for n in range(5)
)
_NEWS = b"".join(f"N{n}\tnews\tworld\tTitle {n}\tAbstract\thttp://x\t[]\t[]\n".encode() for n in range(5))
_BEHAVIORS = b"".join(f"{n}\tU{n // 3}\t11/13/2019 8:36:{n:02} AM\tN1 N2\tN{n % 5}-1 N4-0\n".encode() for n in range(9))
_BUSINESS = [{"business_id": f"b{n}", "name": f"B {n}", "categories": "Food, Bars", "city": "X"} for n in range(5)]
_YELP = [
    {"user_id": f"u{n // 4}", "business_id": f"b{n % 5}", "stars": 4.0, "date": "2019-03-02 10:11:12", "text": "ok"}
    for n in range(12)
]
_HOTPOT = [
    {
        "_id": f"q{n}",
        "question": "Who?",
        "answer": "he",
        "type": "bridge",
        "level": "hard",
        "supporting_facts": [["T", 0]],
        "context": [["T", ["One.", "Two."]], ["S", ["Three."]]],
    }
    for n in range(3)
]


def _lines(records: Sequence[Any]) -> bytes:
    return b"".join(dumps(record) + b"\n" for record in records)


def _records(bases: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """JSON lines: fields changed in one record, or bytes anywhere."""
    known = list(bases)
    one = st.builds(
        lambda n, record, plain_: _lines(known[:n]) + dumps(record, ascii_only=plain_) + b"\n" + _lines(known[n:]),
        st.integers(0, len(known)),
        changed(known),
        st.booleans(),
    )
    return one | edited([_lines(known)])


def _written(files: Mapping[str, Changing]) -> st.SearchStrategy[Given]:
    """Files of which one is changed, plain or gzipped, the gzip itself sound or damaged."""
    whole = {name: sound for name, (sound, _) in files.items()}

    def made(name: str, content: bytes, packing: str) -> Given:
        return {**whole, name: content}, name, packing

    one = [st.builds(made, st.just(name), drawn, st.sampled_from(PACKINGS)) for name, (_, drawn) in files.items()]
    return st.one_of(one)


PACKINGS = (*["plain"] * 24, *["gz"] * 8, "cut", "flipped", "twice", "rest", "bomb")


def packed(given: Given) -> Files:
    """The files as they lie in a folder."""
    files, name, packing = given
    if packing == "plain":
        return files
    content, files = files[name], {k: v for k, v in files.items() if k != name}
    packed_ = gzip.compress(content, 1, mtime=0)
    if packing == "cut":
        packed_ = packed_[: len(packed_) * 2 // 3]
    elif packing == "flipped":
        at = len(packed_) // 2
        packed_ = packed_[:at] + bytes([packed_[at] ^ 0x10]) + packed_[at + 1 :]
    elif packing == "twice":
        packed_ += packed_
    elif packing == "rest":
        packed_ += b"rubbish"
    elif packing == "bomb":
        packed_ = bomb(content)
    return {**files, f"{name}.gz": packed_}


def bomb(content: bytes) -> bytes:
    """The content and one line of 160 MiB after it, in 160 kB: more than any reader may unpack of so little."""
    return gzip.compress(content, 1, mtime=0) + _bomb()


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b"a" * (1 << 20)
    return b"".join(packer.compress(piece) for _ in range(160)) + packer.flush()


def _file(base: bytes, *cases: str) -> Changing:
    return base, edited(with_cases([base], *cases))


def _record_file(records: Sequence[Any]) -> Changing:
    return _lines(records), _records(records)


def opened(options: str = "") -> Callable[[Given], object]:
    """Write the files, open them by name as `whyrec run --data` does, and look at what came."""

    def run(given: Given) -> object:
        files = packed(given)
        folder = plain(Path("data"), files)
        only = next(iter(files)) if options.startswith("/") else ""
        return look(f"{folder / only}{options.removeprefix('/')}" if only else f"{folder}{options}")

    return run


def look(name: str) -> object:
    from whyrec.data import SplitView
    from whyrec.data.corpus import Corpus
    from whyrec.data.lookup import open_data
    from whyrec.data.stats import describe

    data = open_data(name).data
    if isinstance(data, Corpus):
        told = describe(data)
        view = SplitView(data, "test")
        return told, len(view.users)
    return len(data.questions)


def _table_inputs(suffix: str) -> st.SearchStrategy[Given]:
    base = _CSV if suffix == "csv" else _CSV.replace(b",", b"\t")
    bases = [base, *(case(name) or base for name in _TABLE_CASES)] if suffix == "csv" else [base]

    def made(content: bytes, packing: str) -> Given:
        return {f"clicks.{suffix}": content}, f"clicks.{suffix}", packing

    return st.builds(made, edited(bases), st.sampled_from(PACKINGS))


def _hotpot() -> st.SearchStrategy[Given]:
    name = "hotpot_dev_distractor_v1.json"
    content = st.builds(dumps, changed([_HOTPOT])) | edited([dumps(_HOTPOT)])
    return st.builds(lambda c, p: ({name: c}, name, p), content, st.sampled_from(PACKINGS))


def _amazon() -> st.SearchStrategy[Given]:
    meta = _file(_LITERALS, "amazon_set/meta_X.json")
    reviews = _record_file(_AMAZON)
    also = _file(_lines(_AMAZON), "amz_emoji/Gift_Cards_5.json", "amazon_hugeint/X_5.json")
    return _written({"reviews_X_5.json": reviews, "meta_X.json": meta}) | _written(
        {"X_5.json": also, "meta_X.json": _record_file(_META)}
    )


def _of(**files: Callable[[], Changing]) -> Callable[[], st.SearchStrategy[Given]]:
    return lambda: _written({name.replace("__", "."): made() for name, made in files.items()})


def _warm() -> None:
    _bomb()
    plain(Path("data"), {"interactions.csv": _INTERACTIONS, "items.jsonl": _lines(_ITEMS)})
    look("data")


TARGETS = (
    Target("data.csv", lambda: _table_inputs("csv"), opened("/?user=user&item=item&time=time"), 2.0, prepare=_warm),
    Target(
        "data.tsv",
        lambda: _table_inputs("tsv"),
        opened("/?user=user&item=item&time=time&categories=title"),
        prepare=_warm,
    ),
    Target(
        "data.interactions",
        _of(
            interactions__csv=lambda: _file(_INTERACTIONS, "hm/interactions.csv"),
            items__jsonl=lambda: _record_file(_ITEMS),
            reviews__jsonl=lambda: _record_file(_REVIEWS),
        ),
        opened(),
        1.5,
        prepare=_warm,
    ),
    Target("data.amazon", _amazon, opened(), 2.0, prepare=_warm),
    Target(
        "data.movielens_dat",
        _of(
            ratings__dat=lambda: _file(_RATINGS_DAT, "ml10m/ratings.dat"),
            movies__dat=lambda: _file(_MOVIES_DAT, "ml10m/movies.dat"),
        ),
        opened(),
        prepare=_warm,
    ),
    Target(
        "data.movielens_csv",
        _of(ratings__csv=lambda: _file(_RATINGS_CSV), movies__csv=lambda: _file(_MOVIES_CSV)),
        opened("?kcore=2"),
        prepare=_warm,
    ),
    Target(
        "data.movielens_100k",
        _of(u__data=lambda: _file(_U_DATA), u__item=lambda: _file(_U_ITEM)),
        opened(),
        prepare=_warm,
    ),
    Target(
        "data.bookcrossing",
        lambda: _written(
            {
                "BX-Book-Ratings.csv": _file(_BX_RATINGS, "bx2/BX-Book-Ratings.csv"),
                "BX-Books.csv": _file(_BX_BOOKS, "bx2/BX-Books.csv"),
            }
        ),
        opened("?explicit"),
        1.5,
        prepare=_warm,
    ),
    Target(
        "data.mind",
        _of(news__tsv=lambda: _file(_NEWS), behaviors__tsv=lambda: _file(_BEHAVIORS)),
        opened(),
        prepare=_warm,
    ),
    Target(
        "data.yelp",
        _of(
            yelp_academic_dataset_review__json=lambda: _record_file(_YELP),
            yelp_academic_dataset_business__json=lambda: _record_file(_BUSINESS),
        ),
        opened("?year=2019&dedup"),
        prepare=_warm,
    ),
    Target("data.hotpotqa", _hotpot, opened(), prepare=_warm),
)
