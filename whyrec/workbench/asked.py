"""A recorded call as it was asked: the messages are rendered again from the prompt's text and the call's blanks.

Nothing here is believed: the digest of the request put together again is held against the digest that was recorded, so
`Asked.faithful` says whether these are the messages that were sent, to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prompts import render_recorded
from whyrec.errors import UsageError
from whyrec.llm.model import About, AnswerFormat, Message, Request, Sampling
from whyrec.llm.wrappers.cached import request_digest, score_digest
from whyrec.runs import RunReader


@dataclass(frozen=True)
class Asked:
    """What a model was asked in one call.

    Attributes:
        call: the row, with texts (`RunReader.call`).
        request: the question.
        continuations: the texts it was asked to score; () where it was asked to answer.
        faithful: whether the request put together again is the one that was sent.
    """

    call: Mapping[str, Any]
    request: Request
    continuations: tuple[str, ...]
    faithful: bool

    @property
    def blanks(self) -> dict[str, Any]:
        """What was rendered into the prompt; {} where messages were sent without one."""
        return json.loads(self.call["blanks"]) if self.call["blanks"] else {}

    @property
    def prompt_text(self) -> str:
        """Source text of the prompt, in the version that was used; "" where there was none."""
        return self.request.about.prompt_text


def asked(run: RunReader, number: int) -> Asked:
    """The question of a recorded call.

    Raises:
        UsageError: the run has no such call, or has lost the text of its prompt.
    """
    call = run.call(number)
    if call is None:
        raise UsageError(f"The run {run.id} has no call {number}.")
    request = _request(run, call)
    scored = tuple(text for text, _ in json.loads(call["answer"])) if call["kind"] == "score" and call["answer"] else ()
    digest = score_digest(request, scored) if call["kind"] == "score" else request_digest(request, call["sample"])
    return Asked(call, request, scored, digest == call["request"])


def _request(run: RunReader, call: Mapping[str, Any]) -> Request:
    settings = json.loads(call["settings"])
    kind, name, schema = settings["format"]
    later = tuple(Message(role, content) for role, content in json.loads(call["messages"] or "[]"))
    rendered: tuple[Message, ...] = ()
    text, blanks = "", None
    if call["blanks"]:
        found = run.prompt(call["prompt_digest"])
        if found is None:
            raise UsageError(f"The run {run.id} does not hold the text of {call['prompt']} ({call['prompt_digest']}).")
        text, blanks = found[1], json.loads(call["blanks"])
        rendered = render_recorded(text, blanks)
    return Request(
        messages=(*rendered, *later),
        sampling=Sampling(
            **{name: settings[name] for name in ("temperature", "top_p", "max_tokens", "seed")},
            **{name: settings[name] for name in ("thinking", "thinking_tokens") if name in settings},
            stop=tuple(settings["stop"]),
        ),
        samples=(call["sample"],),
        format=AnswerFormat(kind, name, schema),
        prefix=settings["prefix"],
        top_logprobs=settings["top_logprobs"],
        retry=call["retry"],
        about=About(
            run=run.id,
            prompt_text=text,
            blanks=blanks,
            rendered=len(rendered),
            **{name: call[name] for name in _ABOUT},
        ),
    )


_ABOUT = ("graph", "node", "agent", "example", "user", "item", "split", "prompt", "prompt_digest", "turn")
