"""Which schemes there are: the part of a model's name before the first colon, and the function that opens the rest.

The table is the whole plug-in system. A provider is one module with one function
`open_(rest, *, settings, world) -> LanguageModel`; it is imported when a name asks for it and not before.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import LanguageModel
from whyrec.redaction import KNOWN
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.facts import FactWorld
    from whyrec.data.generated.world import World


@dataclass(frozen=True, slots=True)
class Scheme:
    """One kind of model name.

    Attributes:
        module, function: the opener.
        help: one line.
        example: a name as a person would write it.
        needs: packages that must be installed, and the extra that brings them ("" if every install has them).
        real: a trained language model answers; False for built-in doubles, of which no table tells a verdict.
    """

    module: str
    function: str
    help: str
    example: str
    needs: tuple[str, ...] = ()
    extra: str = ""
    real: bool = True

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages it needs that are not installed."""
        return tuple(package for package in self.needs if importlib.util.find_spec(package) is None)


class Opener(Protocol):
    """Opens what stands behind a scheme's colon."""

    def __call__(self, rest: str, *, settings: Settings, world: World | FactWorld | None) -> LanguageModel:
        """The model; UsageError or UnknownNameError where the rest of the name is wrong."""
        ...


_SCHEMES: dict[str, Scheme] = {
    "openai": Scheme(
        "whyrec.llm.providers.openai",
        "open_openai",
        "OpenAI, or any compatible server by its URL",
        "openai:gpt-4o-mini",
    ),
    "vllm": Scheme(
        "whyrec.llm.providers.openai",
        "open_vllm",
        "a vllm serve (127.0.0.1:8000 if no URL is given)",
        "vllm:Qwen/Qwen3-8B@http://127.0.0.1:8000/v1",
    ),
    "llamacpp": Scheme(
        "whyrec.llm.providers.openai",
        "open_llamacpp",
        "a llama.cpp server (127.0.0.1:8080): `whyrec llm serve FILE.gguf`",
        "llamacpp:smollm2-135m",
    ),
    "ollama": Scheme(
        "whyrec.llm.providers.openai", "open_ollama", "an Ollama server (127.0.0.1:11434)", "ollama:qwen3:8b"
    ),
    "lmstudio": Scheme(
        "whyrec.llm.providers.openai", "open_lmstudio", "an LM Studio server (127.0.0.1:1234)", "lmstudio:qwen3-8b"
    ),
    "langchain": Scheme(
        "whyrec.llm.providers.langchain",
        "open_langchain",
        "any init_chat_model string of LangChain",
        "langchain:anthropic:claude-sonnet-4-5",
        ("langchain",),
    ),
    "transformers": Scheme(
        "whyrec.llm.providers.transformers",
        "open_transformers",
        "local weights: a folder or a hub name",
        "transformers:./my-model",
        ("torch", "transformers"),
        "hf",
    ),
    "local": Scheme(
        "whyrec.llm.providers.local",
        "open_local",
        "a model that `whyrec llm get NAME` brought here",
        "local:smollm2-135m",
        ("torch", "transformers"),
        "hf",
    ),
    "extractive": Scheme(
        "whyrec.llm.built_in.extractive",
        "open_",
        "no weights, no network: picks its answer out of the prompt",
        "extractive",
        real=False,
    ),
    "simulated": Scheme(
        "whyrec.llm.built_in.simulated.facts",
        "open_either",
        "answers on `world` and `facts` from the truth, with a quality from 0 to 1",
        "simulated:0.8",
        real=False,
    ),
    "scripted": Scheme(
        "whyrec.llm.built_in.scripted",
        "open_scripted",
        "answers from a JSON file",
        "scripted:answers.json",
        real=False,
    ),
    "replay": Scheme(
        "whyrec.llm.built_in.replay", "open_replay", "answers from a recorded run", "replay:RUN", real=False
    ),
    "echo": Scheme(
        "whyrec.llm.built_in.echo", "open_echo", "repeats every title it saw: for leak tests", "echo", real=False
    ),
    "flaky": Scheme(
        "whyrec.llm.built_in.flaky",
        "open_flaky",
        "another model with faults on demand",
        "flaky:json=0.2,timeout=0.05:extractive",
        real=False,
    ),
}


def openers() -> Mapping[str, Scheme]:
    """Every scheme by name."""
    return dict(_SCHEMES)


def is_real(name: str) -> bool:
    """Whether a trained language model answers under this name; built-in doubles and unknown kinds are none."""
    scheme = _SCHEMES.get(name.partition(":")[0])
    return scheme is not None and scheme.real


def open_provider(
    name: str, *, settings: Settings, world: World | FactWorld | None = None, asks: bool = True
) -> LanguageModel:
    """The bare model of a name, without cache, limits, retries or trace (`whyrec.llm.open` adds those).

    Args:
        name: SCHEME:MODEL.
        settings: home and defaults.
        world: what `simulated:` knows.
        asks: False where nobody will be asked (an estimate), so that no key is needed.

    Raises:
        UnknownNameError: nobody knows the scheme.
        UsageError: the rest of the name is wrong, a key is missing, or a package is not installed.
    """
    KNOWN.learn_environment()
    KNOWN.learn_text(name, "a key in a model's name")
    if not name.isprintable():
        raise UsageError(f"The name of a model has characters in it that cannot be printed: {name[:200]!a}.")
    scheme_name, _, rest = name.partition(":")
    scheme = _SCHEMES.get(scheme_name)
    if scheme is None:
        raise UnknownNameError(
            "kind of language model",
            scheme_name,
            _SCHEMES,
            hint=f"A model is named SCHEME:MODEL, such as {_SCHEMES['openai'].example!r}; see `whyrec llm ls`.",
        )
    if missing := scheme.missing:
        how = f'pip install "whyrec[{scheme.extra}]"' if scheme.extra else f"pip install {' '.join(missing)}"
        raise UsageError(f"{name} needs {' and '.join(missing)}, which is not installed: {how}.")
    opener = cast(Opener, getattr(importlib.import_module(scheme.module), scheme.function))
    model = opener(rest, settings=settings, world=world)
    if asks and (check := getattr(model, "check_key", None)) is not None:
        check()
    return model
