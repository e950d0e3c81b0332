"""What a person types to find calls: words, quotes, filters, orders, addresses; on the command line and on the page."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from fuzzing.odd import edited_text, words
from fuzzing.rooms.runs import _at, made
from fuzzing.target import Target

_TEXTS = (
    *(
        '"warm socks"',
        "warm*",
        "a AND b OR c NOT d",
        "NEAR(a b)",
        "body:x",
        "col:a*",
        '"',
        '""',
        '"" a',
        "*",
        "^a",
        "-a",
        "(a",
        "a)",
    ),
    *(
        "{a b}",
        "a:b",
        "'; DROP TABLE call; --",
        "é",
        "ﬁ",
        "İ",
        "\u0345",
        "日本語",
        "🙂",
        "_",
        "__",
        "a_b",
        "\0",
        "x" * 3000,
        "a " * 3000,
    ),
    *('"a" ' * 2000, "ß*", "½", "²", "٣*", "a\u0301", "\ud83d", "the", "user the"),
)
_FILTERS = (
    "--user",
    "--item",
    "--example",
    "--graph",
    "--node",
    "--prompt",
    "--version",
    "--model",
    "--status",
    "--slower",
    "--dearer",
    "--sort",
    "--limit",
    "--offset",
    "--format",
)
_VALUES = (
    "u0",
    "test/u0",
    "merge",
    "cot_rec.preference",
    "ok",
    "error",
    "1",
    "0",
    "-1",
    "1e400",
    "nan",
    "inf",
    "999999999999999999999",
    "call",
    "time",
    "tokens",
    "json",
    "csv",
    "table",
    "x",
    "",
    "%",
    "_",
    "\0",
    "*",
    "999999999999",
)
_ADDRESSES = (
    "latest:1",
    "1",
    ":1",
    "latest",
    "latest:0",
    "latest:-1",
    "latest:99999999999999999999",
    "latest:²",
    "x:1",
    "latest/u0",
    "..:1",
    "../sound:1",
    "",
    "/",
    "latest:1:2",
    "a" * 300 + ":1",
)


def _sound() -> Any:
    return _at(made()[1])


def calls(given: tuple[str, dict[str, str]]) -> object:
    """`whyrec trace ls latest TEXT --filter value`."""
    from whyrec.cli.trace import app

    text, filters = given
    options = [part for pair in filters.items() for part in pair]
    with _sound():
        return app(["ls", *options, "--", "latest", text], standalone_mode=False)


def address(name: str) -> object:
    from whyrec.trace.address import find_call

    home = made()[1]
    run, number = find_call(home, name)
    try:
        return run.call(number)
    finally:
        run.close()


def page(given: tuple[str, dict[str, str]]) -> object:
    """The same on the page: a server error is a fault."""
    text, filters = given
    asked = {"text": text, **{name.removeprefix("--"): value for name, value in filters.items()}}
    query = "&".join(f"{k}={quote(v[:4_000], errors='replace')}" for k, v in asked.items())
    answer = _client().get(f"/runs/{made()[0]}/calls?{query}")
    assert answer.status_code < 500, f"the page answers {answer.status_code}"
    return answer.status_code


@functools.cache
def _client() -> Any:
    from starlette.testclient import TestClient

    from whyrec.settings import read_settings
    from whyrec.ui.app import build
    from whyrec.ui.safety import Door

    settings = read_settings(home=made()[1])
    return TestClient(build(settings, Door()), base_url="http://127.0.0.1:8700", raise_server_exceptions=True)


def _asked() -> st.SearchStrategy[tuple[str, dict[str, str]]]:
    text = st.sampled_from(_TEXTS) | edited_text([t for t in _TEXTS if len(t) < 100 and "\ud83d" not in t]) | words
    value = st.sampled_from(_VALUES) | words
    return st.tuples(text, st.dictionaries(st.sampled_from(_FILTERS), value, max_size=2))


TARGETS = (
    Target("search.calls", _asked, calls, 2.0, prepare=lambda: calls(("the", {}))),
    Target("search.page", _asked, page, 1.0, prepare=lambda: page(("the", {}))),
    Target("search.address", lambda: edited_text(_ADDRESSES) | words, address, 0.5, prepare=lambda: address("1")),
)
