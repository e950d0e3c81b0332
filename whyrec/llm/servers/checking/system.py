"""Whether a system message reaches the model. A server that takes one may still leave it out, and says 200."""

from __future__ import annotations

from dataclasses import replace

from whyrec.llm.servers.checking.asking import POEM, Asker
from whyrec.llm.servers.checking.finding import Finding, attempt, prompt_tokens

# Longer than the system text that some templates write where none is given (Qwen2.5's), so that tokens are added.
_TOLD = "You are a poet who likes plain words, who never rhymes, and who never explains what a line means. " * 5


async def system(asker: Asker) -> Finding:
    """Left out means that the count of prompt tokens does not grow by it."""
    _, alone = await attempt(asker.ask)
    went, told = await attempt(lambda: asker.ask(told=_TOLD))
    left_out = went == "yes" and bool(prompt_tokens(told)) and prompt_tokens(told) <= prompt_tokens(alone)
    if went == "yes" and not left_out:
        asker.found = replace(asker.found, system="system")
        counted = "" if prompt_tokens(told) else "; it counts no tokens, so it is taken at its word"
        return Finding("system role", "yes", f"a message of its own{counted}")
    if not left_out and (await attempt(lambda: asker.ask(f"{_TOLD}\n\n{POEM}")))[0] != "yes":
        return Finding("system role", "unknown", "the same text in a question was refused, too")
    asker.found = replace(asker.found, system="user")
    return Finding("system role", "ignored" if left_out else went, "system text will lead the first question")
