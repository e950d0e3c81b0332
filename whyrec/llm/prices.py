"""What a model costs: prices.toml beside this file, `$WHYREC_HOME/prices.toml` on top, and nothing for local models."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError
from whyrec.llm.model import Usage
from whyrec.llm.naming.address import read_options
from whyrec.llm.naming.same import same_model, split_flaky

# models that run on this machine or on a server of one's own
_FREE = frozenset(
    {"extractive", "simulated", "scripted", "replay", "echo", "transformers", "local", "vllm", "llamacpp", "ollama"}
    | {"lmstudio"}
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

    How it is reached makes no other price, and neither do options, except `extra`, which may buy another service.
    `flaky:...:MODEL` and `langchain:MODEL` cost what MODEL costs.

    Raises:
        UsageError: `home/prices.toml` is not what it should be.
    """
    name = same_model(name)
    scheme, _, rest = name.partition(":")
    if scheme == "flaky":
        return price_of(split_flaky(rest)[1] or "extractive", home=home)
    listed = _listed(home)
    plain = _without_options(name)
    inner = (rest, plain.partition(":")[2]) if scheme == "langchain" else ()
    for known in (name, plain, *inner):
        if known in listed:
            return listed[known]
    return Price() if scheme in _FREE else None


def _without_options(name: str) -> str:
    before, _, query = name.partition("?")
    options = read_options(query, "&")
    return f"{before}?extra={options['extra']}" if "extra" in options else before


def _listed(home: Path) -> dict[str, Price]:
    shipped = tomllib.loads((files("whyrec.llm") / "prices.toml").read_text(encoding="utf-8"))
    own = home / "prices.toml"
    try:
        text = own.read_text(encoding="utf-8") if own.exists() else ""
        own_prices = {same_model(name): entry for name, entry in tomllib.loads(text).items()}
        return {name: _price(entry) for name, entry in (shipped | own_prices).items()}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UsageError(
            f"{own} is not a table of prices ({error}). Write, for example: "
            f'["openai:my-model"] with the lines input = 0.5 and output = 1.5 (US dollars per million tokens).'
        ) from None


def _price(entry: dict[str, Any]) -> Price:
    price = Price(float(entry["input"]), float(entry["output"]), float(entry.get("cached", entry["input"])))
    if not all(0 <= one < float("inf") for one in (price.input, price.output, price.cached)):
        raise ValueError("a price is below 0 or no number")
    return price
