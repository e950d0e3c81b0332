"""Values that real files and servers hold and that code does not expect."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing.meter import ROOT

CASES = ROOT.parent / "shared" / "cases"

WORDS = (
    *("", " ", "\t", "0", "1", "-1", "00", "007", "1.0", "1e5", "8.8e8", "1e400", "-1e400", "nan", "NaN", "inf"),
    *(
        "-inf",
        "0x10",
        "1_000",
        "1,5",
        "²",
        "٣",
        "½",
        "9223372036854775807",
        "9223372036854775808",
        "1" * 400,
        "9" * 5000,
    ),
    *(
        "null",
        "None",
        "NULL",
        "true",
        "yes",
        "no",
        "\0",
        "\x1a",
        "\x1f",
        "\x7f",
        "\u0085",
        "\u2028",
        "\ufeff",
        "\ufffe",
    ),
    *("é", "日本", "🙂", "\u202e", "a" * 300, "a" * 70_000, "../..", "..", "/", "~", "~nobody", "$HOME", "%00", "%zz"),
    *("2020-07-05", "2020-07-05T00:08:23.900Z", "2020-13-45", "0000-00-00", "20190930", "99999-01-01", "1593878903500"),
    *(
        "-9223372036854775808",
        "18446744073709551616",
        "1-2",
        "a b",
        "x" * 100,
        "&amp;",
        "&#x110000;",
        "&#999999999999;",
    ),
)
BYTES = tuple(
    b
    for b in (
        *(word.encode() for word in WORDS),
        b"\xff",
        b"\xfe\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\r",
        b"\r\n",
        b"\n",
        b"\n\n",
        b"\0",
        b'"',
        b'""',
        b'\\"',
        b"\\",
        b'\\";',
        b"'",
        b",",
        b";",
        b"\t",
        b"::",
        b"|",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[" * 100,
        b"[" * 100_000,
        b"{'a':" * 2000,
        b"(" * 300,
        b"<",
        b">",
        b"#",
        b"\\ud83d",
        b"\xef\xbb\xbf",
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"a" * 100_000,
        b'"' * 1001,
    )
)

# stand-ins for what `json` cannot write, put in place of themselves by `dumps`
_TEXTS = {
    "@deep": "[" * 5_000 + "]" * 5_000,
    "@deeper": "[" * 200_000,
    "@objects": '{"a":' * 3_000 + "1" + "}" * 3_000,
    "@digits": "1" + "0" * 400,
    "@moredigits": "9" * 5_000,
    "@exponent": "1e999999999",
    "@minus": "-",
    "@half": '"\\ud83d"',
    "@twice": '{"a": 1, "a": 2}',
    "@control": '"\x01"',
}
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 0.5, -0.0, 1e308),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "x", "1", "none", "\ud83d", "\0", "\u2028", "é" * 40),
    *("a" * 5_000, [], [None], [None, None], [[]], [[[["x"]]]], {}, {"a": None}, {"text": "x"}, [{}], ["m"], *_TEXTS),
)

words = st.sampled_from(WORDS) | st.text(max_size=8)
json_values = st.sampled_from(VALUES) | st.recursive(
    st.sampled_from(VALUES[:30]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def dumps(value: Any, *, ascii_only: bool = True) -> bytes:
    """JSON text, or what looks like it: NaN, half characters and endless depth included."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    if "@" in text:
        for stand_in, written in _TEXTS.items():
            text = text.replace(f'"{stand_in}"', written)
    return text.encode("utf-8", "surrogatepass")


_EDITS = ("set", "insert", "delete", "double", "cut", "lines", "token", "token", "token", "token")
_edit = st.tuples(
    st.sampled_from(_EDITS), st.integers(0, 9_999), st.sampled_from(BYTES) | st.binary(min_size=1, max_size=6)
)


def edited(bases: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Valid files with a few things changed: bytes, spans, lines, words and numbers."""
    return st.builds(_edit_all, st.sampled_from(list(bases)), st.lists(_edit, max_size=3))


def edited_text(bases: Sequence[str]) -> st.SearchStrategy[str]:
    """The same for texts."""
    return edited([base.encode() for base in bases]).map(lambda raw: raw.decode("utf-8", "replace"))


def _edit_all(base: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    for kind, at, payload in edits:
        base = _edit_one(base, kind, at, payload)
    return base


def _edit_one(base: bytes, kind: str, at: int, payload: bytes) -> bytes:
    here = len(base) * at // 10_000
    draw = random.Random(at)
    span = 1 + draw.randrange(1 + len(base) // 8)
    if kind == "set":
        return base[:here] + payload + base[here + len(payload) :]
    if kind == "insert":
        return base[:here] + payload + base[here:]
    if kind == "delete":
        return base[:here] + base[here + span :]
    if kind == "double":
        return base[: here + span] + base[here:]
    if kind == "cut":
        return base[:here]
    if kind == "lines":
        lines = base.split(b"\n")
        draw.shuffle(lines)
        return b"\n".join(lines)
    places = _tokens(base)
    if not places:
        return payload
    start, stop = places[at % len(places)]
    return base[:start] + payload + base[stop:]


def _tokens(base: bytes) -> list[tuple[int, int]]:
    import re

    return [match.span() for match in re.finditer(rb"[\w.+-]+", base)]


_change = st.tuples(
    st.sampled_from(("set", "set", "set", "drop", "wrap", "add", "rename")), st.integers(0, 9_999), json_values
)


def changed(bases: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Valid JSON data with a few values changed, dropped, wrapped or added."""
    return st.builds(_change_all, st.sampled_from(list(bases)), st.lists(_change, max_size=3))


def changed_json(bases: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """The same, written; now and then with bytes changed, too."""
    written = st.builds(lambda value, plain: dumps(value, ascii_only=plain), changed(bases), st.booleans())
    return written | st.builds(_edit_all, written, st.lists(_edit, min_size=1, max_size=2))


def _change_all(base: Any, changes: list[tuple[str, int, Any]]) -> Any:
    whole = [json.loads(json.dumps(base))]
    for kind, at, drawn in changes:
        value = copy.deepcopy(drawn)  # else a list is put into itself
        spots = list(_spots(whole))
        holder, key = spots[at % len(spots)]
        if kind == "set":
            holder[key] = value
        elif kind == "wrap":
            holder[key] = [holder[key]]
        elif kind == "drop" and holder is not whole:
            del holder[key]
        elif kind == "rename" and isinstance(holder, dict):
            holder[str(value)[:50] if isinstance(value, str) else "other"] = holder.pop(key)
        elif isinstance(holder[key], list):
            holder[key].append(value)
        elif isinstance(holder[key], dict):
            holder[key]["more"] = value
    return whole[0]


def _spots(value: Any) -> Any:
    """(holder, key) of everything in it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _spots(inner)


def case(name: str) -> bytes | None:
    """A file of ../shared/cases, read when it is needed; None where there is none."""
    path = CASES / name
    return path.read_bytes() if path.is_file() else None


def with_cases(bases: Sequence[bytes], *names: str) -> list[bytes]:
    """Inputs of ours and those of ../shared/cases that are there."""
    return [*bases, *(found for name in names if (found := case(name)) is not None)]


def plain(folder: Path, files: dict[str, bytes]) -> Path:
    """Write a folder anew with these files."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
