"""Prompt files that somebody edited, and prompts with their blanks as somebody else's run has recorded them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from fuzzing.meter import ROOT
from fuzzing.odd import case, changed, dumps, edited_text, json_values, words
from fuzzing.target import Target

_BLANKS: dict[str, Any] = {
    "history": [
        {"item": {"index": 1, "id": "a", "title": "Socks", "categories": ["c"]}, "rating": 4.0, "review": "warm"}
    ],
    "candidates": [{"index": 2, "id": "b", "title": "Hat"}],
    "item": {"index": 1, "id": "a", "title": "Socks"},
    "n": 3,
    "word": "x",
    "texts": ["one", "two"],
}
_EXPRESSIONS = (
    *("{{ word }}", "{{ n }}", "{{ history|events }}", "{{ candidates|candidates(about=0) }}", "{{ texts|numbered }}"),
    *(
        "{% for t in texts %}{{ t }}{% endfor %}",
        "{% if n > 2 %}{{ word }}{% endif %}",
        "{{ 9**(9**9) }}",
        "{{ n**n**n**n }}",
    ),
    *(
        "{{ 'a'*1000000000 }}",
        "{{ word*10**9 }}",
        "{{ [0]*10**9 }}",
        "{{ 10**10000000 }}",
        "{{ texts[9] }}",
        "{{ n/0 }}",
    ),
    *("{% for a in texts %}" * 3 + "{{ a }}" + "{% endfor %}" * 3, "{{ range(10**9)|join }}", "{{ word.__class__ }}"),
    *("{{ word.format(1) }}", "{{ ''.join(texts) }}", "{{ word % 1 }}", "{{ '%1000000000d' % 1 }}", "{{ n ~ n ~ n }}"),
    *(
        "{{ '{:>1000000000}'.format(n) }}",
        "{{ word.zfill(1000000000) }}",
        "{{ word.ljust(10**9) }}",
        "{{ (n, n)*10**9 }}",
    ),
    *(
        "{% set x = word %}{{ x }}",
        "{% macro f(a) %}{{ f(a) }}{% endmacro %}{{ f(1) }}",
        "{% include 'x' %}",
        "{{ self }}",
    ),
    *(
        "{% extends 'x' %}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{{ history|events(about=9999) }}",
        "{{ not n }}",
    ),
    *(
        "{{ history|events(1,2,3,4,5) }}",
        "{{ n|item }}",
        "{{ word|words }}",
        "{{ item|item }}",
        "{{ n|reviews }}",
        "{{ n.a.b }}",
    ),
    *(
        "{{ 1 << 10**10 }}",
        "{{ -n }}",
        "{{ n and word }}",
        "{{ word in texts }}",
        "{{ texts|first }}",
        "{{ 1e999 }}",
        "{{ " * 50,
    ),
    *(
        "{{ " + "(" * 300 + "n" + ")" * 300 + " }}",
        "{% if " + "not " * 3000 + "n %}a{% endif %}",
        "{{ n" + "+n" * 3000 + " }}",
    ),
    *(
        "{% raw %}{{ n }}{% endraw %}",
        "{# c #}",
        "{% call f() %}{% endcall %}",
        "{% filter words %}a{% endfilter %}",
        "{{ n[1:2] }}",
    ),
)
_VALUES = (
    "2024-01-01",
    "2024-01-01 10:00:00",
    "[a, b]",
    "{a: b}",
    "1e400",
    ".nan",
    ".inf",
    "!!binary aGk=",
    "!!python/name:os.system",
    "&a [*a]",
    "*missing",
    "? a",
    "- a",
    "null",
    "~",
    "yes",
    "0o17",
    "0x_f",
    "12:30:45",
    "!!timestamp x",
    "{[]: 1}",
    "{{}: 1}",
    "!!set {a}",
    "|\n  text",
    "'",
    '"',
    "1_000",
    "9" * 5000,
    "!!int x",
    "!!float x",
    "@",
    "`",
    "%",
)
_HEAD = ("name", "description", "answer", "format", "sampling", "variables", "other", "2024-01-01", "1")
_SAMPLING = ("temperature", "top_p", "max_tokens", "stop", "seed")
_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)


def _ours() -> list[str]:
    files = sorted((ROOT / "prompts").glob("*/*.md"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    cases = [case(name) for name in ("prompt_date.md", "prompt_variables.md")]
    return [*texts, *(found.decode() for found in cases if found is not None)]


def written(expression: str, head: dict[str, str] | None = None, sampling: dict[str, str] | None = None) -> str:
    """A prompt file around an expression."""
    lines = {"name": "a/b", "description": "d", "answer": "A", "format": "text", **(head or {})}
    shots = {"max_tokens": "10", **(sampling or {})}
    if "sampling" not in lines:
        lines["sampling"] = "{" + ", ".join(f"{k}: {v}" for k, v in shots.items()) + "}"
    used = [name for name in _BLANKS if name in expression]
    if "variables" not in lines:
        lines["variables"] = "".join(f"\n  {name}: what it is" for name in used) or "{}"
    front = "\n".join(f"{k}: {v}" for k, v in lines.items())
    return f"---\n{front}\n---\n# system\nSay it.\n# user\n<a>\n{expression}\n</a>\n"


def file(text: str) -> object:
    """As `whyrec prompts lint` and `--prompt FILE` read it, and rendered with what blanks it has."""
    from prompts.lint import lint

    lint(text)
    return rendered((text, _BLANKS))


def rendered(given: tuple[str, dict[str, Any]]) -> object:
    """As `whyrec trace show` renders a recorded call again."""
    import prompts

    text, blanks = given
    prompt = prompts.parse(text)
    return prompts.render_recorded(text, {name: blanks.get(name) for name in prompt.variables})


def _files() -> st.SearchStrategy[str]:
    head = st.dictionaries(st.sampled_from(_HEAD), st.sampled_from(_VALUES) | words, max_size=2)
    sampling = st.dictionaries(st.sampled_from(_SAMPLING), st.sampled_from(_VALUES) | words, max_size=2)
    made = st.builds(written, _expressions(), head, sampling)
    bomb = st.just(written("{{ word }}", {"other": f"1\n{_BOMB}"}))
    return edited_text(_ours()) | made | edited_text(_EXPRESSIONS).map(written) | bomb


def _expressions() -> st.SearchStrategy[str]:
    return st.sampled_from(_EXPRESSIONS) | st.lists(st.sampled_from(_EXPRESSIONS), min_size=2, max_size=3).map("".join)


def _recorded() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    blanks = changed([_BLANKS]) | st.fixed_dictionaries(dict.fromkeys(_BLANKS, json_values))
    plain = blanks.map(dumps).map(_as_read)
    return st.tuples((_expressions() | edited_text(_EXPRESSIONS)).map(written), plain)


def _as_read(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return _BLANKS
    return found if isinstance(found, dict) else {"word": found}


TARGETS = (
    Target("prompt_files.file", _files, file, 3.0, prepare=lambda: [file(text) for text in _ours()[:3]]),
    Target("prompt_files.recorded", _recorded, rendered, 2.0, prepare=lambda: rendered((written("{{ n }}"), _BLANKS))),
)
