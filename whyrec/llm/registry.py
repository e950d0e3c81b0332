"""Which schemes there are: the part of a model's name before the first colon, and the function that opens the rest.

A provider is one function `open_(rest, *, settings, world) -> LanguageModel`. Ours are in a table and are imported when
a name asks for them and not before; others are declared by plug-ins, as `Provider`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from whyrec import plugins
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


@dataclass(frozen=True)
class Provider:
    """A kind of model as a plug-in declares it.

    Attributes:
        name: the scheme, what stands before the colon.
        open: the opener.
        about: one line.
        example: a name as a person would write it.
        real: a trained language model answers.
    """

    plugin_kind: ClassVar[plugins.Kind] = "providers"
    name: str
    open: Opener
    about: str
    example: str
    real: bool = True


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
    "tuned": Scheme(
        "whyrec.llm.providers.tuned",
        "open_tuned",
        "a model that `whyrec tune` made (docs/tuning.md)",
        "tuned:NAME",
        ("torch", "transformers", "peft"),
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
    """Every scheme by name, those of plug-ins too."""
    guests = {name: guest.value for name, guest in plugins.found("providers").items()}
    told = {name: Scheme("", "", one.about, one.example, real=one.real) for name, one in guests.items()}
    return {name: _SCHEMES.get(name) or told[name] for name in plugins.names("providers", _SCHEMES)}


def is_real(name: str) -> bool:
    """Whether a trained language model answers under this name; built-in doubles and unknown kinds are none."""
    kind = name.partition(":")[0]
    scheme = _SCHEMES.get(kind) or plugins.found("providers").get(kind)
    return scheme is not None and (scheme.real if isinstance(scheme, Scheme) else scheme.value.real)


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
    model = _opener(scheme_name, name)(rest, settings=settings, world=world)
    if asks and (check := getattr(model, "check_key", None)) is not None:
        check()
    return model


def _opener(kind: str, name: str) -> Opener:
    scheme = _SCHEMES.get(kind)
    if scheme is None:
        if (guest := plugins.found("providers").get(kind)) is not None:
            opener: Opener = guest.value.open
            return opener
        raise UnknownNameError(
            "kind of language model",
            kind,
            plugins.names("providers", _SCHEMES),
            hint=f"A model is named SCHEME:MODEL, such as {_SCHEMES['openai'].example!r}; see `whyrec llm ls`.",
        )
    if missing := scheme.missing:
        how = f'pip install "whyrec[{scheme.extra}]"' if scheme.extra else f"pip install {' '.join(missing)}"
        raise UsageError(f"{name} needs {' and '.join(missing)}, which is not installed: {how}.")
    return cast(Opener, getattr(importlib.import_module(scheme.module), scheme.function))
