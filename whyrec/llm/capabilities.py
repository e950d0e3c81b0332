"""What a server really does, as found by `whyrec llm check` and read by the client when it opens.

Servers say 200 and ignore you: one leaves out `n`, another the JSON schema. So the client sends what is known to
work, and nobody else has to know. Order: what the name's options say, then the kept check, then what the scheme
promises.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from whyrec.errors import UsageError

SchemaWay: TypeAlias = Literal["response_format", "strict", "structured_outputs", "none"]
PrefixWay: TypeAlias = Literal["continue", "prefill", "none"]
MaxTokensWay: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
SystemWay: TypeAlias = Literal["system", "user"]
ThinkingWay: TypeAlias = Literal["none", "template", "effort", "always"]
ScoreWay: TypeAlias = Literal["tokens", "echo", "none"]
SHOWN, WIDE = 20, 1_000  # log-probabilities per token: what OpenAI and vLLM show at most; what is asked of others


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What to send to a server.

    Attributes:
        schema: "response_format" (type json_schema), "strict" (the same within OpenAI's subset of JSON schema),
            "structured_outputs" (vLLM's own field), "none" (the server refuses it; the answer is validated anyway).
        n: whether several samples come from one request.
        slots: how many questions a server answers at the same time, and how many samples one request may ask for
            (llama.cpp); None where it does not say.
        seed: whether the same seed gives the same answer (None: not known).
        logprobs: the most top log-probabilities per token that are asked for (0: none).
        prefix: how an answer is continued: "continue" (continue_final_message), "prefill" (a last assistant message
            is continued), "none".
        score: how given text is scored: "tokens" (/tokenize and prompt_logprobs, vLLM), "echo" (completions with
            echo and logprobs, on plain text), "none".
        choice: whether `structured_outputs.choice` restricts an answer to given texts.
        max_tokens: what the field is called.
        system: how system text is sent: "system" (a message of its own), "user" (at the head of the first question,
            for models whose template has no system role, or that were trained without one).
        thinking: whether the model thinks before it answers, and how it is told to or not: "none" (it does not),
            "template" (`enable_thinking` in chat_template_kwargs), "effort" (reasoning_effort: less or more, never
            off), "always" (it cannot be told).
        embeddings: width of the vectors of /embeddings (0: none, None: not known).
        context: the longest prompt plus answer in tokens (None: not known); where a server cuts a longer prompt without
            a word, what it leaves of one.
        checked: when `whyrec llm check` looked, ISO 8601 ("" if never).
    """

    schema: SchemaWay = "response_format"
    n: bool = True
    slots: int | None = None
    seed: bool | None = None
    logprobs: int = SHOWN
    prefix: PrefixWay = "none"
    score: ScoreWay = "none"
    choice: bool = False
    max_tokens: MaxTokensWay = "max_tokens"
    system: SystemWay = "system"
    thinking: ThinkingWay = "none"
    embeddings: int | None = None
    context: int | None = None
    checked: str = ""


def servers_file(home: Path) -> Path:
    """Where checks are kept."""
    return home / "servers.json"


def read_checked(home: Path, url: str, model: str) -> Capabilities | None:
    """The kept check of this model on this server, None if there is none.

    Raises:
        UsageError: the file was damaged.
    """
    entry = _read(servers_file(home)).get(f"{url} {model}")
    if entry is None:
        return None
    known = {f.name for f in fields(Capabilities)}
    kept = {name: value for name, value in entry.items() if name in known}
    try:
        return TypeAdapter(Capabilities).validate_json(json.dumps(kept), strict=True)
    except ValidationError:
        raise _strange(servers_file(home)) from None


def keep_checked(home: Path, url: str, model: str, found: Capabilities) -> Path:
    """Write a check, replacing an earlier one of the same model and server; returns the file."""
    path = servers_file(home)
    entries = {**_read(path), f"{url} {model}": asdict(found)}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    fresh.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        entries = None
    if isinstance(entries, dict) and all(isinstance(entry, dict) for entry in entries.values()):
        return entries
    raise _strange(path)


def _strange(path: Path) -> UsageError:
    return UsageError(f"{path} is not what `whyrec llm check` writes; delete it and check your servers again.")
