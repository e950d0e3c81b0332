"""Amazon reviews of UCSD, 2014 and 2018: one category's reviews and, beside them, its metadata.

Reviews: `reviews_Beauty_5.json` (2014), `Gift_Cards_5.json` or `Gift_Cards.json` (2018). Metadata: `meta_Beauty.json`.
Each plain or .gz. A folder with several categories is not one data set: name the review file.

Unusual: the 2014 metadata are Python literals, not JSON; they are parsed as literals, never evaluated. Metadata cover
the whole shop, so lines about items nobody here met are skipped unread. HTML entities in text are unescaped. A
review's text is its summary, a line break, its body.
"""

from __future__ import annotations

import ast
import html
import re
import warnings
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import polars as pl

from whyrec.data.joining import Met
from whyrec.data.raw import ITEM_SCHEMA, Raw, no_items
from whyrec.data.readers import clock, jsonlines
from whyrec.data.readers.files import find, read_lines
from whyrec.data.readers.interactions import join
from whyrec.data.readers.jsonlines import Mended, Record
from whyrec.errors import UsageError

NAME = "amazon"
OPTIONS = (clock.OPTION,)
_META = re.compile(r"^meta_(?P<category>.+)\.json(\.gz)?$")
_REVIEWS = re.compile(r"^(reviews_)?(?P<category>.+?)(_5)?\.json(\.gz)?$")
_ASIN = re.compile(rb"""["']asin["']\s*:\s*["']([^"']*)["']""")


def recognise(path: Path) -> bool:
    """Whether this is a review file, or a folder with one by its name (`*_5.json` or `reviews_*.json`) or metadata."""
    if path.is_file():
        return _category(path) is not None
    return path.is_dir() and bool(_review_files(path))


def read(path: Path, options: Mapping[str, str]) -> Raw:
    """Read a review file, or the only one in a folder, and its metadata where they are.

    The option `clock` says how numbers are times.

    Raises:
        UsageError: several categories in the folder, or a malformed line; names file and line.
    """
    files = [path] if path.is_file() else _review_files(path)
    if len(files) > 1:
        raise UsageError(f"{path} holds several review files ({', '.join(p.name for p in files)}). Name one of them.")
    mended = Mended()
    found = [_review(record) for record in jsonlines.read(files[0], mended)]
    schema = {"user": pl.String, "item": pl.String, "time": pl.Float64, "rating": pl.Float64, "review": pl.String}
    rows = pl.DataFrame(found, schema=schema, orient="row")
    times = clock.read(rows["time"], where=lambda row: _place(files[0], row), form=options.get(clock.OPTION, ""))
    rows, notes = rows.with_columns(**times.columns()), times.notes
    meta = find(files[0].parent, f"meta_{_category(files[0])}.json")
    if meta is None:
        none = {"metadata": f"no meta_{_category(files[0])}.json found"}
        return Raw(NAME, rows, no_items(), notes={**notes, **mended.notes(), **none})
    items = [_item(record) for record in _metadata(meta, Met(rows["item"]), mended)]
    table = pl.DataFrame(items, schema=ITEM_SCHEMA, orient="row")
    return Raw(NAME, rows, table, meta.name, notes={**notes, **mended.notes()})


def _place(path: Path, row: int) -> str:
    """Where the review of a row stands."""
    return f"{path}, line {next(islice(read_lines(path), row, None))[0]}"


def _review_files(folder: Path) -> list[Path]:
    names = sorted(p for p in folder.iterdir() if p.is_file() and _category(p))
    described = {m["category"] for p in folder.iterdir() if (m := _META.match(p.name))}
    sure = [p for p in names if re.match(r"^reviews_|.*_5\.json", p.name) or _category(p) in described]
    plain = {p.name.removesuffix(".gz"): p for p in reversed(sure)}
    return [plain[name] for name in sorted(plain)]


def _category(path: Path) -> str | None:
    match = _REVIEWS.match(path.name)
    return match["category"] if match and not path.name.startswith("meta_") else None


def _review(r: Record) -> tuple[str, str, float | None, float | None, str]:
    review = join(html.unescape(r.text("summary")), html.unescape(r.text("reviewText")))
    return r.key("reviewerID"), r.key("asin"), r.number("unixReviewTime"), r.number("overall"), review


def _metadata(path: Path, met: Met, mended: Mended) -> Iterator[Record]:
    """Records of the items met, or nearly so."""
    for number, line in read_lines(path):
        asins = _ASIN.findall(line)
        if asins and not any(met.near(a.decode("utf-8", "replace")) for a in asins):
            continue
        read = _literal if line.startswith((b"{'", b"{u'")) else jsonlines.decode
        record = read(path, number, line, mended)
        if met.near(record.key("asin")):
            yield record


def _literal(path: Path, number: int, line: bytes, mended: Mended) -> Record:
    """A line written as a Python dict (2014)."""
    try:
        with warnings.catch_warnings():  # of odd escapes in titles
            warnings.simplefilter("ignore")
            value = ast.literal_eval(line.decode())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        why = str(error).partition("\n")[0][:200]
        raise UsageError(f"{path}, line {number}: neither JSON nor a Python literal ({why}).") from None
    return jsonlines.record(path, number, value, mended)


def _item(r: Record) -> tuple[str, str, str, str, list[str]]:
    described = r.fields.get("description")
    description = " ".join(r.texts("description")) if isinstance(described, list) else r.text("description")
    categories = r.texts("categories") or r.texts("category")
    title, description, brand = (html.unescape(t).strip() for t in (r.text("title"), description, r.text("brand")))
    return r.key("asin"), title, description, brand, [html.unescape(c) for c in categories]
