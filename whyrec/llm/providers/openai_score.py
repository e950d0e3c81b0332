"""Log-likelihood of given texts from OpenAI-compatible servers, in the two ways that exist (spec 1.4c).

"tokens" (vLLM): `/tokenize` renders the conversation with the model's own chat template into token ids, the
continuation is tokenised without special tokens, and `/completions` returns `prompt_logprobs` for the ids joined. So
the conversation's ids are an exact prefix by construction and no second BOS slips in.

"echo" (llama-cpp-python, TGI, old OpenAI models): `/completions` with `echo` on plain text. There is no chat template
on this road: the messages' contents are joined by blank lines. It is taken only where the model's name says
`?score=echo`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from whyrec.errors import UsageError
from whyrec.llm.capabilities import Capabilities
from whyrec.llm.model import Request, ServerFault, TokenScores
from whyrec.llm.naming.address import Address
from whyrec.llm.providers.openai_wire import dumps
from whyrec.llm.reasoning import OPEN, begun

_TAIL = 16  # tokens at the end of a prompt in which its template may have begun a thought


class Client(Protocol):
    """What scoring needs of a client of the server: its name and address, what it can, and a way to post."""

    name: str
    address: Address
    can: Capabilities

    async def post(self, path: str, body: bytes) -> dict[str, Any]:
        """The JSON that a path under the server's URL answers."""
        ...


async def score(client: Client, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
    """One `TokenScores` per continuation, in order.

    Raises:
        UsageError: the server can do neither.
        ModelError: it did not answer.
    """
    if client.can.score == "none":
        raise UsageError(
            f"{client.name} cannot give the log-likelihood of a given text. Use vLLM (vllm:MODEL@URL), local weights "
            f"(transformers:FOLDER), or add ?score=echo to the name if its /completions knows echo and logprobs."
        )
    wanted = list(dict.fromkeys(text for text in continuations if text))
    way = _by_tokens if client.can.score == "tokens" else _by_echo
    found = dict(zip(wanted, await way(client, request, wanted) if wanted else [], strict=True))
    return [TokenScores(text, found.get(text, ())) for text in continuations]


async def _by_tokens(client: Client, request: Request, continuations: Sequence[str]) -> list[tuple[float, ...]]:
    templated = {"add_generation_prompt": True} | {
        k: v for k, v in client.address.extra.items() if k == "chat_template_kwargs"
    }
    base = await _token_ids(client, {"messages": request.messages, **templated})
    if request.prefix:
        base = await _without_begun(client, base, request.prefix)
        base += await _token_ids(client, {"prompt": request.prefix, "add_special_tokens": False})
    tails = [await _token_ids(client, {"prompt": text, "add_special_tokens": False}) for text in continuations]
    asked = {"prompt": [base + tail for tail in tails], "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
    choices = await _completions(client, asked, len(tails))
    scores = []
    for choice, tail in zip(choices, tails, strict=True):
        entries = (choice.get("prompt_logprobs") or [])[len(base) :]
        if len(entries) != len(tail):
            raise ServerFault(f"{client.name} returned {len(entries)} prompt log-probabilities for {len(tail)} tokens.")
        scores.append(tuple(float(entry[str(i)]["logprob"]) for entry, i in zip(entries, tail, strict=True)))
    return scores


async def _without_begun(client: Client, base: list[int], prefix: str) -> list[int]:
    """The prompt without the thought that its template begins, where `prefix` begins it, too.

    The tags are tokens of their own in every model whose template writes them, so the cut falls between tokens.
    """
    if not prefix.lstrip().startswith(OPEN):
        return base
    body = await client.post("//detokenize", dumps({"model": client.address.model, "tokens": base[-_TAIL:]}))
    said = begun(str(body.get("prompt") or ""), prefix)
    cut = await _token_ids(client, {"prompt": said, "add_special_tokens": False}) if said else []
    return base[: -len(cut)] if cut and base[-len(cut) :] == cut else base


async def _token_ids(client: Client, asked: Mapping[str, Any]) -> list[int]:
    body = await client.post("//tokenize", dumps({"model": client.address.model, **asked}))
    ids = body.get("tokens")
    if not isinstance(ids, list):
        raise ServerFault(f"{client.name} answered /tokenize without tokens.")
    return [int(i) for i in ids]


async def _by_echo(client: Client, request: Request, continuations: Sequence[str]) -> list[tuple[float, ...]]:
    base = "\n\n".join(message.content for message in request.messages) + "\n\n" + request.prefix
    asked = {"prompt": [base + text for text in continuations], "max_tokens": 1, "temperature": 0}
    choices = await _completions(client, {**asked, "echo": True, "logprobs": 1}, len(continuations))
    scores = []
    for choice, text in zip(choices, continuations, strict=True):
        shown = choice.get("logprobs") or {}
        tokens, logprobs = shown.get("tokens") or [], shown.get("token_logprobs") or []
        starts = shown.get("text_offset") or []
        end = len(base) + len(text)
        kept = [
            float(logprob)
            for token, logprob, start in zip(tokens, logprobs, starts, strict=True)
            if start < end and start + len(token) > len(base) and logprob is not None
        ]
        if not kept:
            raise ServerFault(f"{client.name} ignored echo: use another server to score texts, or ?score=none.")
        scores.append(tuple(kept))
    return scores


async def _completions(client: Client, asked: Mapping[str, Any], count: int) -> list[Mapping[str, Any]]:
    body = await client.post("/completions", dumps({"model": client.address.model, **asked}))
    choices = sorted(body.get("choices") or [], key=lambda choice: choice.get("index", 0))
    if len(choices) != count:
        raise ServerFault(f"{client.name} answered {len(choices)} of {count} texts to score.")
    return choices
