"""Separating what a model thought from what it answered.

Servers hand reasoning over in three ways: in the text before `</think>`, in a field called `reasoning_content`, or in
its newer spelling `reasoning`. The opening `<think>` is often part of the chat template, so only the closing tag can
be relied upon, and an answer may quote the tag, so the last one counts (spec 1.3).
"""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


def split_reasoning(text: str, *, prefix: str = "") -> tuple[str, str]:
    """(reasoning, answer) of a generated text.

    Args:
        text: what the model generated.
        prefix: the text it continued. Where that leaves a `<think>` open and `text` never closes it, the model was
            cut off while thinking: everything is reasoning and the answer is empty.
    """
    head, found, tail = text.rpartition(CLOSE)
    if found:
        return head.strip().removeprefix(OPEN).strip(), tail.lstrip()
    thinking = text.lstrip()
    if thinking.startswith(OPEN):
        return thinking.removeprefix(OPEN).strip(), ""
    if prefix.rfind(OPEN) > prefix.rfind(CLOSE):
        return thinking.strip(), ""
    return "", text
