"""Results of other people's runs and plug-ins, and forms, as the page reads them: any JSON, any text."""

from __future__ import annotations

import functools
import json
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import words
from fuzzing.target import Target

_NAMES = (
    "text", "thoughts", "parent", "leaves", "chosen", "scores", "judged", "ranking", "shown", "probabilities", "p",
    "probability", "steps", "path", "reason", "template", "item", "items", "keywords", "user", "mean", "low", "high",
    "",
)  # fmt: skip
_FORM = {"graph": "taste", "data": "world", "llm": "extractive", "users": "3", "options": "a=1", "budget_usd": "1"}


def page(payload: Any) -> object:
    """A result as blocks, a line, and a page; a payload that is not a mapping is not one that a run keeps."""
    from whyrec.ui.shapes import Around, blocks, headline

    known = Around(lambda ids: dict.fromkeys(ids[:2], "a title"), lambda name: ("Look", "Choose"), {"a": 3, "": 1})
    found = blocks(payload, known)
    text = _template().render(found=found, payload=payload)
    assert "<script" not in text and len(headline(payload)) <= 500
    return len(found)


def form(changes: dict[str, str]) -> object:
    """A form for a new run."""
    from whyrec.ui.started import read_wish

    wish = read_wish({**_FORM, **changes}, ("taste",))
    assert not [one for one in wish.arguments()[1:] if not one.startswith("--")]
    return wish


@functools.cache
def _template() -> Any:
    from whyrec.ui.site import _environment

    said = '{% from "shapes.html" import result %}{{ result(found, payload, "payload", "/p?x=1", "/d") }}'
    return _environment().from_string(said)


def _payloads() -> st.SearchStrategy[Any]:
    single = (
        st.none() | st.booleans() | st.integers(-3, 8) | st.integers() | st.floats() | words
        | st.sampled_from(["<script>", "x" * 70, "a\nb", "i1", "\x00\u202e"])
    )  # fmt: skip
    name = st.sampled_from(_NAMES) | words
    row = st.fixed_dictionaries({"text": words, "parent": st.integers(-1, 3)})
    chain = st.integers(1, 90).map(lambda n: [{"text": "t", "parent": at - 1} for at in range(n)])
    value = st.recursive(
        single
        | st.lists(st.floats(0, 1), max_size=4)
        | st.lists(words, max_size=4)
        | st.lists(row, max_size=5)
        | chain,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(name, inner, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(name, value, max_size=6).map(lambda found: json.loads(json.dumps(found)))


def _forms() -> st.SearchStrategy[dict[str, str]]:
    odd = words | st.sampled_from(["", "-1", "--help", "1e9", "nan", "9" * 30, "a=1\n-x", "\x00"])
    return st.dictionaries(st.sampled_from([*_FORM, "budget_calls"]), odd, max_size=3)


TARGETS = (
    Target("shapes.page", _payloads, page, 2.0, prepare=lambda: page({"text": "x"})),
    Target("shapes.form", _forms, form, 0.5, prepare=lambda: form({})),
)
