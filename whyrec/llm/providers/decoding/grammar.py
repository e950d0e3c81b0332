"""JSON of a schema and nothing else: a grammar that forbids every token which cannot go on with a valid answer.

By llguidance (extra [grammar], MIT, one small wheel; vLLM and llama.cpp use it, too). A grammar is made once per schema
and copied for each row. White space is as `json.dumps` writes it, since a weak model that may add blanks adds them for
ever. A model that thinks first may do so: the grammar begins behind its thought.

Shapes: V vocabulary of the model, which may be larger than the tokenizer's.
"""

from __future__ import annotations

import importlib.util
import json
from typing import Any, Final

import numpy as np
import torch

from whyrec.errors import UsageError
from whyrec.llm.model import Refused
from whyrec.llm.reasoning import CLOSE, OPEN

PACKAGE: Final = "llguidance"
_SPACES: Final[Any] = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def installed() -> bool:
    """Whether grammars can be had here."""
    return importlib.util.find_spec(PACKAGE) is not None


class Grammars:
    """Makes grammars for one model's tokens.

    Args:
        tokenizer: as transformers loads it.
        vocabulary: V, the logits of the model.
        ends: tokens that end an answer.
        name: of the model, for errors.
        needed: whether a schema that cannot be enforced is an error; else such an answer is written freely.

    Raises:
        UsageError: the package is not installed, or cannot read this tokenizer.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, ends: frozenset[int], *, name: str, needed: bool) -> None:
        if not installed():
            raise UsageError(f'{name} needs {PACKAGE} for grammar=on: pip install "whyrec[grammar]".')
        import llguidance
        from llguidance.hf import from_tokenizer

        self._maker, self._name, self._needed = llguidance.LLMatcher, name, needed
        try:
            self._tokens = from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=sorted(ends) or None)
        except Exception as error:  # whatever the package makes of a tokenizer that it does not know
            raise UsageError(
                f"No grammar can be made for {name}, whose tokenizer is not one that {PACKAGE} reads ({error}). "
                f"Open it with ?grammar=off."
            ) from None
        self._thought = tuple(_single(tokenizer, text) for text in (OPEN, CLOSE))
        self._made: dict[str, Any] = {}

    def of(self, schema: str, prompt: str, begun: str) -> Grammar | None:
        """The grammar of one answer.

        Args:
            schema: JSON schema as text.
            prompt: what the model reads, as text.
            begun: the beginning of the answer that it is given, "" for none.

        Returns:
            None where the schema, or the beginning, is not one for a grammar, unless one is needed.

        Raises:
            Refused: a grammar is needed and cannot be made.
        """
        if schema not in self._made:
            self._made[schema] = self._compiled(schema)
        made = self._made[schema]
        if isinstance(made, str):
            if self._needed:
                raise Refused(f"{self._name} cannot enforce this answer's schema: {made}. Open it with ?grammar=auto.")
            return None
        matcher = made.deep_copy()
        thinks = prompt.rfind(OPEN) > prompt.rfind(CLOSE)
        said = begun.rpartition(CLOSE)[2].lstrip() if not thinks else ""
        if said and not matcher.consume_tokens(self._tokens.tokenize_str(said)):
            return None
        return Grammar(matcher, self._thought, thinking=thinks, may_think=not said)

    def _compiled(self, schema: str) -> Any:
        """A matcher at its beginning, or why there is none."""
        try:
            matcher = self._maker(
                self._tokens, self._maker.grammar_from_json_schema(json.loads(schema), overrides=_SPACES)
            )
        except ValueError as error:
            return str(error)
        return matcher.get_error().strip().split("\n")[0] if matcher.is_error() else matcher


class Grammar:
    """Of one row.

    Args:
        matcher: llguidance's.
        thought: the tokens that begin and end a thought, -1 where they are none.
        thinking: whether the row begins within one.
        may_think: whether it may begin one.
    """

    def __init__(self, matcher: Any, thought: tuple[int, ...], *, thinking: bool, may_think: bool) -> None:
        self._matcher, (self._open, self._close) = matcher, thought
        self._thinking, self._may_think = thinking and self._close >= 0, may_think and not thinking

    def restrict(self, logits_V: torch.Tensor) -> None:
        """Forbid, in place, what cannot come next."""
        if self._thinking:
            return
        bits = np.zeros(-(-len(logits_V) // 32), dtype=np.int32)
        self._matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
        allowed_V = np.unpackbits(bits.view(np.uint8), bitorder="little")[: len(logits_V)].astype(bool)
        if self._may_think and self._open >= 0 and self._close >= 0:
            allowed_V[self._open] = True
        if allowed_V.any():
            logits_V.masked_fill_(~torch.from_numpy(allowed_V), float("-inf"))

    def take(self, token: int) -> None:
        """The token that was chosen."""
        if self._thinking:
            self._thinking = token != self._close
        elif self._may_think and token == self._open:
            self._thinking = True
        else:
            self._matcher.consume_token(token)
        self._may_think = False


def _single(tokenizer: Any, text: str) -> int:
    """The token that is this text, -1 where there is none."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return int(ids[0]) if len(ids) == 1 else -1
