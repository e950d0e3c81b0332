"""Whether a model thinks before it answers, and what switches that on and off.

Each way is tried both ways round. A switch that is there shows in the thought itself (in the text, in a field of its
own, or as tokens that came to no text), or already in the count of prompt tokens, where a chat template writes an empty
thought (Qwen3): that holds for any weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from whyrec.llm.capabilities import ThinkingWay
from whyrec.llm.model import Reply
from whyrec.llm.reasoning import CLOSE, OPEN
from whyrec.llm.servers.checking.asking import Asker
from whyrec.llm.servers.checking.finding import Finding, attempt, prompt_tokens

QUESTION = "How many legs do three cats and two birds have together? Answer with the number."
_WAYS: dict[ThinkingWay, tuple[tuple[dict[str, Any], ...], str]] = {
    "template": (
        ({"chat_template_kwargs": {"enable_thinking": False}}, {"chat_template_kwargs": {"enable_thinking": True}}),
        'off by ?chat_template_kwargs={"enable_thinking":false}',
    ),
    "effort": (
        ({"reasoning_effort": "none"}, {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
        'less of it by ?extra={"reasoning_effort":"low"}',
    ),
}
# DeepSeek's and Granite's word; their templates think only where told, so that nothing has to be sent
_ASKED_FOR: dict[str, Any] = {"chat_template_kwargs": {"thinking": True}}


class _Seen(NamedTuple):
    """What an answer shows of a thought: whether there was one, and how long the prompt was."""

    thought: bool
    prompt: int


async def thinking(asker: Asker) -> Finding:
    """Up to eight answers of at most 24 tokens, and one of up to 256 where they show neither thought nor switch."""
    usual = await _look(asker, {})
    if usual is None:
        return Finding("thinking", "unknown", "the question was refused")
    counts = usual == await _look(asker, {})  # a count that changes by itself (a cache) shows nothing
    for way, (settings, note) in _WAYS.items():
        looks = [look for fields in settings if (look := await _look(asker, fields)) is not None]
        thoughts = {usual.thought, *(look.thought for look in looks)}
        if len(thoughts) > 1 or (counts and any(look.prompt != usual.prompt for look in looks)):
            asker.found = replace(asker.found, thinking=way)
            return Finding("thinking", "yes", f"{_start(usual, thoughts)}{note}")
    if usual.thought or await _thinks_at_length(asker):
        asker.found = replace(asker.found, thinking="always")
        return Finding("thinking", "ignored", "it thinks, and no switch that was tried stops that")
    asker.found = replace(asker.found, thinking="none")
    asked = await _look(asker, _ASKED_FOR)
    if asked is not None and (asked.thought or (counts and asked.prompt != usual.prompt)):
        return Finding("thinking", "no", 'only where asked for, by ?chat_template_kwargs={"thinking":true}')
    return Finding("thinking", "no", "no thought, and no switch for one")


def _start(usual: _Seen, thoughts: set[bool]) -> str:
    if True not in thoughts:
        return ""
    return "it thinks unless told otherwise; " if usual.thought else "it thinks only where told; "


async def _look(asker: Asker, fields: dict[str, Any]) -> _Seen | None:
    """What an answer shows; None where the server refused the fields."""
    went, replies = await attempt(lambda: asker.ask(QUESTION, max_tokens=24, **fields))
    return _Seen(_thought(replies[0]), prompt_tokens(replies)) if went == "yes" else None


async def _thinks_at_length(asker: Asker) -> bool:
    """Whether a thought ends that a template began, so that nothing but its closing tag shows it."""
    went, replies = await attempt(lambda: asker.ask(QUESTION, max_tokens=256))
    return went == "yes" and _thought(replies[0])


def _thought(reply: Reply) -> bool:
    hidden = not reply.text.strip() and reply.finish_reason == "length"
    return bool(reply.reasoning.strip()) or hidden or OPEN in reply.text or CLOSE in reply.text
