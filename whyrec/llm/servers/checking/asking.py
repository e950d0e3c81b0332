"""How a check asks a server: one short question, with the fields that are on trial written into the body by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from whyrec.llm.model import Refused, Reply, Request
from whyrec.llm.providers.openai import OpenAICompatible
from whyrec.llm.providers.openai_fields import mapping
from whyrec.llm.providers.openai_wire import Told, dumps, read_chat
from whyrec.llm.servers.checking.finding import Finding, attempt

POEM = "Write one short line of poetry about rain. No JSON, no lists."
_SMALL = {"max_tokens": 16, "temperature": 0.0}


class Asker:
    """A server under trial.

    Attributes:
        model: its client.
        found: what is known of it so far; each probe replaces its own part.
    """

    def __init__(self, model: OpenAICompatible) -> None:
        self.model = model
        self.found = replace(model.can, checked="")

    async def ask(
        self, question: str = POEM, *, told: str = "", begun: str = "", samples: int = 1, **fields: Any
    ) -> list[Reply]:
        """What the server answers, read as any other answer is.

        Args:
            question: the user's message.
            told: a system message; "" for none.
            begun: a last message of the assistant's; "" for none.
            samples: how many answers are read, at most.
            fields: of the body, beside and before its usual ones.

        Raises:
            ModelError: it did not answer.
        """
        messages = [{"role": "system", "content": told}] if told else []
        messages.append({"role": "user", "content": question})
        if begun:
            messages.append({"role": "assistant", "content": begun})
        address = self.model.address
        body = {"model": address.model, "messages": messages, **_SMALL, **address.extra}
        body |= fields
        if self.found.max_tokens != "max_tokens":
            body[self.found.max_tokens] = body.pop("max_tokens")
        kept = {k: v for k, v in body.items() if k not in address.drop}
        answer = await self.model.post("/chat/completions", dumps(kept))
        return read_chat(answer, Request(()), tuple(range(samples)), Told(self.model.name, 0.0, None))

    async def text(self, question: str = POEM, *, begun: str = "", **fields: Any) -> str:
        """The text of one answer.

        Raises:
            ModelError: it did not answer.
        """
        return (await self.ask(question, begun=begun, **fields))[0].text

    async def props(self) -> Mapping[str, Any]:
        """What a llama.cpp server says of itself at /props; empty from others."""
        went, found = await attempt(lambda: self.model.get("//props"))
        return mapping(found) if went == "yes" else {}

    async def chat(self) -> Finding:
        """The simplest question.

        Raises:
            ModelError: there is no answer to it.
        """
        try:
            (reply,) = await self.ask()
        except Refused as error:
            if "max_tokens" not in str(error):
                raise
            self.found = replace(self.found, max_tokens="max_completion_tokens")
            (reply,) = await self.ask()
        return Finding("chat", "yes", f"answers as {reply.model or self.model.address.model}")
