"""Whether an answer that is begun for the model is really gone on with, or only stands before a turn of its own.

A capable model goes on counting in a fresh turn, too, so what it says shows little. Tokens do: a beginning that is
continued adds its own tokens to the prompt and nothing else, a closed turn adds those that close it and open the next
(six in ChatML). How many tokens the beginning has is found by putting it into the question once and twice. One or two
tokens more may be a closing token (`</s>`) or another split at the seam; only then, and where a server counts nothing,
the text decides: the beginning breaks off inside a word.

Seen with SmolLM2 and its 39-token prompt, a beginning of 11: vLLM 0.32 counts 56 without flags, 52 with
`add_generation_prompt: false` alone, 50 with `continue_final_message`; llama.cpp counts 50, whatever is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from whyrec.llm.capabilities import PrefixWay
from whyrec.llm.model import Reply
from whyrec.llm.servers.checking.asking import POEM, Asker
from whyrec.llm.servers.checking.finding import Finding, Outcome, attempt, prompt_tokens

BEGUN = "Rain falls on the roof and on the road and on"
FLAGS: dict[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
CAPITAL, BROKEN, REST = "What is the capital of France?", "Well, grandmother, the capital of France is Par", "is"
_SEAM = 2  # tokens that a closing token, or another split at the seam, can make
_WAYS: dict[PrefixWay, tuple[dict[str, Any], str]] = {
    "prefill": ({}, "a last assistant message is continued"),
    "continue": (FLAGS, "continue_final_message"),
}


async def continuing(asker: Asker) -> Finding:
    """A last assistant message alone, then with vLLM's flags."""
    counts = [await _count(asker, text) for text in (POEM, f"{POEM} {BEGUN}", f"{POEM} {BEGUN} {BEGUN}")]
    outcome: Outcome = "refused"
    for way, (flags, note) in _WAYS.items():
        went, replies = await attempt(lambda flags=flags: asker.ask(begun=BEGUN, max_tokens=1, **flags))  # type: ignore[misc]
        if went != "yes":
            continue
        outcome = "ignored"
        if await _goes_on(asker, counts, replies, flags):
            asker.found = replace(asker.found, prefix=way)
            return Finding("prefix", "yes", note)
    asker.found = replace(asker.found, prefix="none")
    return Finding("prefix", outcome, "an answer cannot be begun for the model")


async def _count(asker: Asker, text: str) -> int:
    return prompt_tokens((await attempt(lambda: asker.ask(text, max_tokens=1)))[1])


async def _goes_on(asker: Asker, counts: Sequence[int], replies: Sequence[Reply], flags: dict[str, Any]) -> bool:
    """Whether these replies continue `BEGUN`.

    Args:
        asker: for one more question, where tokens do not tell.
        counts: prompt tokens of the question alone, with `BEGUN` in it once, and twice.
        replies: to `BEGUN`.
        flags: they were asked with.
    """
    alone, once, twice = counts
    counted = prompt_tokens(replies)
    if 0 < alone < once < twice and counted > alone:
        more = counted - alone - (twice - once)
        if not 0 < more <= _SEAM:
            return more <= 0
    went, text = await attempt(lambda: asker.text(CAPITAL, begun=BROKEN, **flags))
    return went == "yes" and text.removeprefix(BROKEN).lstrip().startswith(REST)
