"""Separating what a model thought from what it answered.

Servers hand reasoning over in three ways: in the text before `</think>`, in a field called `reasoning_content`, or in
its newer spelling `reasoning`. The opening `<think>` is often part of the chat template, so only the closing tag can
be relied upon, and an answer may quote the tag, so the last one counts (spec 1.3).

The other way round, a given beginning of an answer may hold thoughts (`Request.prefix`). A template that itself begins
the thought would then say `<think>` twice, and no model was trained on that.
"""

from __future__ import annotations

import re

from whyrec.llm.model import Reply

OPEN, CLOSE = "<think>", "</think>"
_BEGUN = re.compile(rf"{OPEN}\s*(?:{CLOSE}\s*)?\Z")


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


def cut_thinking(reply: Reply, limit: int) -> str:
    """What is wrong with a reply that was cut before its thought came to an answer, and what to do; "" for others.

    Args:
        reply: as it came.
        limit: the tokens it was allowed.
    """
    if reply.finish_reason != "length" or reply.text.strip() or not reply.reasoning:
        return ""
    limit = max(reply.length or 0, limit)  # an option of the name may have raised it
    return (
        f"it thought until the limit of {limit} tokens and came to no answer; raise the limit with "
        f'?extra={{"max_tokens":{4 * limit}}} behind the model\'s name (a budget counts it), or switch thinking off, '
        f'for example with ?chat_template_kwargs={{"enable_thinking":false}}'
    )


def begun(rendered: str, prefix: str) -> str:
    """The end of a rendered prompt that `prefix` says again: an opened or an empty thought; "" if there is none.

    Args:
        rendered: the prompt, ready for the answer's first token (its last few tokens are enough).
        prefix: the beginning of the answer that is to follow.
    """
    if not prefix.lstrip().startswith(OPEN):
        return ""
    found = _BEGUN.search(rendered)
    return found[0] if found else ""
