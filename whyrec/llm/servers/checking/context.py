"""How long prompt and answer may be together: what a server says, and whether it keeps to it.

A server that knows its limit refuses a longer prompt unread, which costs it nothing. One that answers has either read
all of it or cut it without a word (Ollama), and its count of prompt tokens tells which.

Unusual: where nothing is told, an absurd limit on the answer is asked for, because refusals of that name the context;
a server that takes it (llama.cpp) would write on to its end, so the answer has to stop at the first of some letters
that no line does without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from whyrec.llm.model import Disconnected, ModelError
from whyrec.llm.providers.openai_fields import mapping, whole
from whyrec.llm.servers.checking.asking import Asker
from whyrec.llm.servers.checking.finding import Finding, attempt, prompt_tokens

_KEYS = ("max_model_len", "context_length", "max_context_length", "n_ctx")
_NAMED = re.compile(r"(?:context (?:length|window|size)|max_model_len|maximum)\D{0,40}(\d{3,8})")
_STOPS = [" ", "e", "\n", "."]
_LONGEST = 65_536  # tokens of a prompt that is sent to try it
_USUAL = 4_096  # what Ollama cuts to where nobody says otherwise; it tells nobody


async def context(asker: Asker) -> Finding:
    """Ask for the length, then try a prompt that is longer; on another machine only where a length is told."""
    told = await told_length(asker)
    if told is None and not asker.model.address.local:
        asker.found = replace(asker.found, context=None)
        return Finding("context length", "unknown", "not said")
    if told is not None and told > _LONGEST:
        asker.found = replace(asker.found, context=told)
        return Finding("context length", "yes", f"{told:,} tokens, as it says; not tried")
    counted = await _try(asker, told or _USUAL)
    if counted and counted < (told or _USUAL):
        asker.found = replace(asker.found, context=counted)
        return Finding("context length", "ignored", f"longer prompts are cut without a word, to {counted:,} tokens")
    asker.found = replace(asker.found, context=told)
    if told is None:
        more = f"not said, and more than {counted:,} tokens" if counted else "not said"
        return Finding("context length", "unknown", more)
    kept = f"it took a prompt of {counted:,}" if counted else "a longer prompt is refused"
    return Finding("context length", "yes", f"{told:,} tokens; {kept}")


async def told_length(asker: Asker) -> int | None:
    """The shortest of what /props (llama.cpp: a slot's share) and /models say, else what a refusal names.

    Raises:
        Disconnected: the server is gone.
    """
    went, offered = await attempt(asker.model.offered)
    models: Mapping[str, Any] = offered if went == "yes" else {}
    entry = mapping(models.get(asker.model.address.model) or (next(iter(models.values())) if len(models) == 1 else {}))
    settings = mapping((await asker.props()).get("default_generation_settings"))
    if said := [found for source in (settings, entry, mapping(entry.get("meta"))) if (found := _length(source))]:
        return min(said)
    try:
        await asker.ask(max_tokens=10_000_000, stop=_STOPS)
    except Disconnected:
        raise
    except ModelError as error:
        named = _NAMED.search(str(error))
        return (int(named[1]) or None) if named else None
    return None


async def _try(asker: Asker, tokens: int) -> int:
    """How many tokens a server counts of a prompt that has more than so many; 0 where it refuses it or does not count.

    A word as plain as this is one token, or more, to every tokenizer.
    """
    _, replies = await attempt(lambda: asker.ask("rain " * (tokens + tokens // 16 + 64), max_tokens=1))
    return prompt_tokens(replies)


def _length(source: Mapping[str, Any]) -> int | None:
    return next((length for key in _KEYS if (length := whole(source.get(key)))), None)
