"""How a data set is named: what it is called or where it lies, and after a '?' how it is read.

`yelp_s3rec?dedup&kcore=5`, `clicks.csv?item=sku&user=who`. Options are written in one order and with the characters
escaped that mean something there, so that a name that was put together can be read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote

from whyrec.errors import UsageError

_PLAIN = "/:@!$'()*,;~ |?"


def split(name: str) -> tuple[str, dict[str, str]]:
    """What stands before the '?', and the options.

    Raises:
        UsageError: nothing stands before it, or what follows are no options, each once.
    """
    base, mark, query = name.partition("?")
    if not base.strip():
        raise UsageError(f"{name!r} names no data set. Give a folder, a path or world (`whyrec data ls` lists them).")
    if not mark:
        return base, {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=False)
    except ValueError:
        pairs = []
    if not pairs or len(dict(pairs)) < len(pairs):
        raise UsageError(f"{name!r}: after '?' come options such as dedup&kcore=5, each once.")
    return base, dict(pairs)


def written(base: str, options: Mapping[str, str]) -> str:
    """The name that `split` reads as these."""
    pairs = [f"{_escaped(k)}={_escaped(v)}" if v else _escaped(k) for k, v in sorted(options.items())]
    return base + (f"?{'&'.join(pairs)}" if pairs else "")


def place(path: Path, options: Mapping[str, str]) -> str:
    """The name by which the files are found from any folder."""
    return written(str(path.resolve()), options)


def _escaped(text: str) -> str:
    """Only what would be read as something else: names stay readable, in any script."""
    return "".join(quote(c) if c.isascii() and not c.isalnum() and c not in _PLAIN + "-_." else c for c in text)
