"""From messages to tokens and back: a model's chat template and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from whyrec.errors import UsageError
from whyrec.llm.model import Message, Refused, Request
from whyrec.llm.reasoning import begun
from whyrec.llm.system_text import FOLDED, folded


class Rendering:
    """Of one model.

    Args:
        tokenizer: as transformers loads it; it needs a chat template.
        name: of the model, for errors.
        options: further arguments of the chat template.

    Raises:
        UsageError: there is no chat template.
    """

    def __init__(self, tokenizer: Any, *, name: str, options: Mapping[str, Any]) -> None:
        if not tokenizer.chat_template:
            raise UsageError(f"{name} has no chat template; name a file with one: {name}?template=FILE.")
        self._tokenizer, self._name, self._options = tokenizer, name, dict(options)
        self.system_way = "" if self._takes_system_text() else FOLDED

    def prompt(self, request: Request) -> tuple[list[int], str]:
        """The prompt as token ids and as text, ready for the answer's first token. The template brings its own BOS.

        Raises:
            Refused: the template does not take these messages.
        """
        try:
            text = self._templated(folded(request.messages) if self.system_way else request.messages)
        except jinja2.TemplateError as error:
            raise Refused(f"The chat template of {self._name} refuses these messages: {error}.") from None
        text = text.removesuffix(begun(text, request.prefix)) + request.prefix
        return self.ids(text), text

    def ids(self, text: str) -> list[int]:
        """Tokens of a text as it stands."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def tail(self, ids: list[int], text: str, continuation: str) -> list[int]:
        """The continuation's ids in context where the prompt's ids stay as they are, else on its own (spec 1.4)."""
        whole = self.ids(text + continuation)
        return whole[len(ids) :] if whole[: len(ids)] == ids else self.ids(continuation)

    def text(self, ids: Sequence[int]) -> str:
        """Tokens as text, without those that only the template uses."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def token(self, ids: Sequence[int]) -> str:
        """Tokens as text, whatever they are: for what is shown of single ones."""
        return str(self._tokenizer.decode(ids))

    def _takes_system_text(self) -> bool:
        """Whether the chat template has a system role and says what stands in it."""
        told = "whyrec asks"
        try:
            return told in self._templated((Message("system", told), Message("user", "?")))
        except jinja2.TemplateError:
            return False

    def _templated(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        text: str = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, **self._options
        )
        return text
