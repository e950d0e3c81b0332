"""How many tokens a request is, without its tokenizer: a likely number for limits, a safe one for budgets."""

from __future__ import annotations

from collections.abc import Sequence

from whyrec.llm.model import Request
from whyrec.llm.sent import Sent, as_asked

_BYTES_PER_TOKEN = 4
_PER_MESSAGE = 8
_TEMPLATE = 64


def _bytes(request: Request) -> int:
    total = len(request.format.schema) + len(request.prefix)
    for message in request.messages:
        content = message.content
        total += len(content) if content.isascii() else len(content.encode("utf-8", "surrogatepass"))
    return total


def estimate_tokens(request: Request, *, continuations: Sequence[str] = (), sent: Sent | None = None) -> int:
    """Prompt and answer together as they will probably be metered: 4 bytes a token, the limit sent per sample."""
    prompt = _bytes(request) // _BYTES_PER_TOKEN + _PER_MESSAGE * len(request.messages)
    if continuations:
        return sum(prompt + len(text) // _BYTES_PER_TOKEN for text in continuations)
    sent = sent or as_asked(request)
    cap = request.sampling.max_tokens if sent.cap is None else sent.cap
    return prompt + sent.added // _BYTES_PER_TOKEN + cap * sent.answers * len(request.samples)


def worst_tokens(request: Request, *, continuations: Sequence[str] = (), sent: Sent | None = None) -> tuple[int, int]:
    """The most prompt and completion tokens a request can cost.

    A byte-level tokenizer makes at most one token of a byte, the schema may be written into the prompt, and a server
    without `n` reads the prompt once per sample. Where nothing caps an answer (`sent.cap` None) there is no such
    number: `Budget.check` refuses that before, and what is asked for stands in for it.
    """
    prompt = _bytes(request) + _PER_MESSAGE * len(request.messages) + _TEMPLATE
    if continuations:
        return sum(prompt + len(text.encode("utf-8", "surrogatepass")) for text in continuations), len(continuations)
    sent = sent or as_asked(request)
    cap = request.sampling.max_tokens if sent.cap is None else sent.cap
    samples = len(request.samples)
    return (prompt + sent.added) * samples, cap * sent.answers * samples
