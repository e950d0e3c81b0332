"""What a model costs: prices.toml beside this file, `$WHYREC_HOME/prices.toml` on top, and nothing for local models."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError
from whyrec.llm.model import Usage

# models that run on this machine or on a server of one's own
_FREE = frozenset(
    {"extractive", "simulated", "scripted", "replay", "echo", "transformers", "vllm", "ollama", "lmstudio"}
)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens. `cached` is for prompt tokens served from the provider's own cache."""

    input: float = 0.0
    output: float = 0.0
    cached: float = 0.0

    def of(self, usage: Usage) -> float | None:
        """US dollars of one reply; None where its tokens are not known and cost something."""
        if self.free:
            return 0.0
        return self.most(usage) if usage.known else None

    def most(self, usage: Usage) -> float:
        """US dollars of tokens that are known; of those that are not, nothing.

        Tokens from the provider's cache are at most those of the prompt, whatever a server says.
        """
        prompt, completion = usage.prompt or 0, usage.completion or 0
        cached = min(usage.cached or 0, prompt)
        return ((prompt - cached) * self.input + cached * self.cached + completion * self.output) / 1e6

    @property
    def free(self) -> bool:
        """Whether it costs nothing."""
        return not (self.input or self.output or self.cached)


def price_of(name: str, *, home: Path) -> Price | None:
    """The price of a model by the name that opens it, None where nobody wrote it down.

    `flaky:...:MODEL` and `langchain:MODEL` cost what MODEL costs.

    Raises:
        UsageError: `home/prices.toml` is not what it should be.
    """
    scheme, _, rest = name.partition(":")
    if scheme == "flaky":
        return price_of(rest.partition(":")[2] if "=" in rest.partition(":")[0] else rest, home=home)
    listed = _listed(home)
    for known in (name, rest) if scheme == "langchain" else (name,):
        if known in listed:
            return listed[known]
    return Price() if scheme in _FREE else None


def _listed(home: Path) -> dict[str, Price]:
    shipped = tomllib.loads((files("whyrec.llm") / "prices.toml").read_text(encoding="utf-8"))
    own = home / "prices.toml"
    try:
        text = own.read_text(encoding="utf-8") if own.exists() else ""
        return {name: _price(entry) for name, entry in (shipped | tomllib.loads(text)).items()}
    except (tomllib.TOMLDecodeError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{own} is not a table of prices ({error}). Write, for example: "
            f'["openai:my-model"] with the lines input = 0.5 and output = 1.5 (US dollars per million tokens).'
        ) from None


def _price(entry: dict[str, Any]) -> Price:
    price = Price(float(entry["input"]), float(entry["output"]), float(entry.get("cached", entry["input"])))
    if min(price.input, price.output, price.cached) < 0:
        raise ValueError("a price is below 0")
    return price
