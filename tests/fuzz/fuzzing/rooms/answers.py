"""What models say where an answer of a given type is wanted, and what is made of it before it is shown again."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import changed, dumps, edited_text, words
from fuzzing.target import Target

_KINDS = ("json", "tags", "headers", "text")
_AROUND = (
    "{}",
    "```json\n{}\n```",
    "Let me think {{carefully}}.\n{}\nDone.",
    '<think>{{"a": 1}}</think>{}',
    "{}{}",
    "[{}]",
    "{} {{",
    "Here: {} or rather: {}",
    "\ufeff{}",
    '{{"properties": {{}}}} {}',
    "{},",
    "({})",
    "{} // comment",
    '{}\n{{"x":',
)
_LONG = (
    "{" * 20_000,
    "[" * 100_000,
    '{"a":' * 20_000,
    "<a>" * 20_000,
    "# " * 30_000,
    "," * 60_000,
    '"' * 60_000,
    "{}" * 20_000,
    " " * 100_000,
    "\n" * 50_000,
    "- a\n" * 20_000,
    "}" * 50_000,
    '{"a": "' + "\\" * 60_000,
    "a: " * 20_000,
    "**" * 30_000,
    "</" * 30_000,
    "[/INST]" * 8_000,
    "\\u" * 20_000,
    '{"a": ' + "9" * 5_000 + "}",
    "\ud83d" * 9_000,
)


@functools.cache
def _types() -> dict[str, Any]:
    from agents import answer_types

    return answer_types()


@functools.cache
def _sound(name: str) -> Any:
    """JSON data that the type takes, or what comes near."""
    from whyrec.llm.built_in.schema_fill import Content, fill

    class Plain(Content):
        def text(self, path: str, node: Any) -> str:
            return "a short text"

        def texts(self, path: str, node: Any) -> list[str]:
            return ["one", "two", "three"]

        def count(self, path: str, node: Any) -> int:
            return 2

        def choose(self, path: str, options: Any) -> Any:
            return options[0]

        def number(self, path: str, low: float, high: float) -> float:
            return low

    import json

    from agents.answers import answer_format

    return fill(json.loads(answer_format(_types()[name], "json").schema), Plain())


def read(given: tuple[str, str, str]) -> object:
    from agents.answers import read as read_answer

    name, kind, text = given
    if kind == "text" and len(_types()[name].model_fields) != 1:
        return None
    answer = read_answer(_types()[name], kind, text)  # type: ignore[arg-type]
    answer.model_dump_json()
    return answer


def shown(given: tuple[str, list[str]]) -> object:
    """As a wrong answer is shown to the model again, and as data is shown in a prompt."""
    from prompts.neutral import neutralise, neutralise_answer
    from whyrec.llm.reasoning import split_reasoning

    text, keep = given
    again = neutralise_answer(text, keep)
    assert neutralise_answer(again, keep) == again, "harmless is harmless"
    harmless = neutralise(text)
    assert neutralise(harmless) == harmless
    return split_reasoning(text)


def _texts() -> st.SearchStrategy[tuple[str, str, str]]:
    def of(name: str) -> st.SearchStrategy[tuple[str, str, str]]:
        sound = _sound(name)
        said = changed([sound]).map(dumps).map(lambda raw: raw.decode("utf-8", "replace"))
        wrapped = st.builds(_wrap, st.sampled_from(_AROUND), said)
        tagged = st.builds(
            _tagged,
            st.just(list(sound)),
            st.sampled_from(["<{0}>{1}</{0}>", "## {0}\n{1}", "{0}: {1}", "**{0}**: {1}", "<{0}>{1}"]),
            st.lists(words, min_size=1, max_size=3),
        )
        text = wrapped | tagged | edited_text([dumps(sound).decode(), *_AROUND]) | st.sampled_from(_LONG)
        return st.tuples(st.just(name), st.sampled_from(_KINDS), text)

    return st.sampled_from(sorted(_types())).flatmap(of)


def _wrap(around: str, text: str) -> str:
    return around.replace("{{", "\1").replace("}}", "\2").replace("{}", text).replace("\1", "{").replace("\2", "}")


def _tagged(names: list[str], form: str, values: list[str]) -> str:
    return "\n".join(form.format(name, values[n % len(values)]) for n, name in enumerate(names))


def _loose() -> st.SearchStrategy[tuple[str, list[str]]]:
    token = st.sampled_from(
        [
            "<|im_start|>",
            "</think>",
            "[INST]",
            "[|x|]",
            "[UNUSED_TOKEN_1]",
            "]~b]",
            "[control_1]",
            "<<SYS>>",
            "<s>",
            "＜｜User｜＞",
            "#",
            "# ",
            "<a>",
            "</a>",
            "[",
            "]",
            "<",
            ">",
            "|",
            "\u200b",
            "\ud83d",
            "<​think>",
        ]
    )
    text = st.lists(token | words, max_size=12).map("".join) | st.sampled_from(_LONG)
    return st.tuples(text, st.sampled_from([[], ["a"], ["a", "b"]]))


def _ours() -> tuple[type[BaseException], ...]:
    from agents.answers import Misread

    return (Misread,)


TARGETS = (
    Target(
        "answers.read",
        _texts,
        read,
        4.0,
        prepare=lambda: [read((n, "json", dumps(_sound(n)).decode())) for n in _types()],
        ours=_ours(),
    ),
    Target("answers.shown", _loose, shown, 1.0, prepare=lambda: shown(("a", []))),
)
