"""Reasoning ends at the last closing tag, whatever stands before it."""

from __future__ import annotations

import pytest

from whyrec.llm.reasoning import begun, split_reasoning


@pytest.mark.parametrize(
    ("text", "prefix", "expected"),
    [
        ("The answer", "", ("", "The answer")),
        ("<think>hm</think>\n\nThe answer", "", ("hm", "The answer")),
        ("hm</think>The answer", "", ("hm", "The answer")),  # the template had opened it
        ("a </think> b</think> c", "", ("a </think> b", "c")),
        ("<think>\n\n</think>\n\nx", "", ("", "x")),
        ("<think>cut off while", "", ("cut off while", "")),
        ("cut off while", "<think>\n", ("cut off while", "")),
        ("more</think>done", "<think>\n", ("more", "done")),
        ("x", "<think>a</think>", ("", "x")),
        ("", "", ("", "")),
    ],
)
def test_split(text: str, prefix: str, expected: tuple[str, str]) -> None:
    assert split_reasoning(text, prefix=prefix) == expected


@pytest.mark.parametrize(
    ("rendered", "prefix", "expected"),
    [
        ("...assistant\n<think>\n", "<think>\nhm\n</think>\n\n", "<think>\n"),
        (
            "...assistant\n<think>\n\n</think>\n\n",
            "<think>\nhm\n</think>",
            "<think>\n\n</think>\n\n",
        ),
        ("...assistant\n", "<think>\nhm\n</think>", ""),
        ("...assistant\n<think>\n", "The answer is", ""),  # a beginning without thoughts stays inside the open one
        ("an old <think>thought</think>\nassistant\n", "<think>hm</think>", ""),
    ],
)
def test_a_thought_is_begun_once(rendered: str, prefix: str, expected: str) -> None:
    assert begun(rendered, prefix) == expected
