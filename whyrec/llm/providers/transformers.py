"""Local weights through transformers: `transformers:FOLDER` or a hub name, on CPU or GPU, without a server.

For small models, for tests, and as the reference for log-probabilities (spec 1.4): what is chosen and scored is
computed from float32 logits in this process. The room `decoding` has the model itself. Options:

- `batch` (64): rows under way at once; changes no answer.
- `dtype`: of the weights; what is fastest on this machine where it is not given (`whyrec.precision`).
- `grammar` (auto): hold JSON answers to their schema; `auto` does where llguidance is installed, `on` insists on it,
  `off` does not.
- `device`, `template` (a file with a chat template, for base models), `chat_template_kwargs` (JSON).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.naming.address import read_object, read_options
from whyrec.llm.providers.decoding.grammar import installed
from whyrec.llm.providers.decoding.loading import hushed, load, merged
from whyrec.llm.providers.decoding.model import How, LocalModel
from whyrec.llm.weights.digest import content_digest, revision_of
from whyrec.precision import choose
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

_OPTIONS = ("device", "dtype", "batch", "grammar", "template", "chat_template_kwargs")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_GRAMMARS = ("auto", "on", "off")
_DRAWING = "-2"  # raised when the same weights and seeds may give other answers than before


def open_transformers(rest: str, *, settings: Settings, world: World | None) -> LocalModel:
    """`transformers:FOLDER?option=value&...`.

    Raises:
        UsageError: the folder or hub name cannot be loaded, or an option is wrong.
        UnknownNameError: an option nobody knows.
    """
    where, _, query = rest.partition("?")
    return open_weights(where, query, name=f"transformers:{rest}", settings=settings)


def open_weights(
    where: str,
    query: str,
    *,
    name: str,
    settings: Settings,
    adapter: Path | None = None,
    template_options: Mapping[str, Any] | None = None,
) -> LocalModel:
    """Local weights of a folder or hub name, with the options behind the "?" of a model's name.

    Args:
        where: the folder, or the name on the hub.
        query: "option=value&...", "" for none.
        name: that opens the model again.
        settings: precision, and whether to be quiet.
        adapter: a folder of adapters of PEFT, which are added to the weights in float32.
        template_options: arguments of the chat template where the query gives none.

    Raises:
        UsageError, UnknownNameError: as `open_transformers`.
    """
    options = read_options(query, "&")
    for option in options:
        if option not in _OPTIONS:
            raise UnknownNameError("option of local models", option, _OPTIONS)
    device = options.get("device", "cuda" if torch.cuda.is_available() else "cpu")
    dtype = options.get("dtype") or _precision(settings, device)
    if dtype not in _DTYPES:
        raise UnknownNameError("dtype", dtype, _DTYPES)
    how = _how(options, name)
    if template_options and "chat_template_kwargs" not in options:
        how = replace(how, template_options=dict(template_options))
    model, tokenizer = _loaded(where, (dtype, device), adapter, name=name.partition("?")[0], quiet=settings.quiet)
    if "template" in options:
        tokenizer.chat_template = _template(options["template"], name)
    # weights in another precision answer otherwise, and so do answers that are held to a schema
    told = ("" if dtype == "float32" else f"-{dtype}") + _DRAWING + ("" if how.grammar == "off" else "-json")
    with hushed(downloads=False):
        revision = revision_of(where, template=options.get("template", ""))
        if adapter is not None or template_options:
            own = "" if adapter is None else content_digest(adapter, below=False)
            mine = f"{revision} {own} {sorted((template_options or {}).items())}"
            revision = hashlib.sha256(mine.encode()).hexdigest()[:16]
        return LocalModel(model, tokenizer, name=name, revision=revision + told, how=how)


def _loaded(where: str, kind: tuple[str, str], adapter: Path | None, *, name: str, quiet: bool) -> tuple[Any, Any]:
    """(model, tokenizer) of this dtype on this device, the adapters added to the weights.

    Raises:
        UsageError: they cannot be loaded.
    """
    dtype, device = _DTYPES[kind[0]], kind[1]
    try:
        model, tokenizer = load(where, torch.float32 if adapter else dtype, name=name, quiet=quiet)
        if adapter is not None:
            model = merged(model, adapter).to(dtype)
        return model.to(device), tokenizer
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0][:300].rstrip(".") if str(error).strip() else type(error).__name__
        raise UsageError(f"{name} cannot be loaded: {said}. Name a folder with weights and tokenizer.") from None


def _template(file: str, name: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"The chat template {file} of {name} cannot be read: {error}.") from None


def _how(options: dict[str, str], name: str) -> How:
    """What the options say about answering."""
    if not re.fullmatch("[0-9]{1,6}", options.get("batch", "64")):
        raise UsageError(f"The option batch={options['batch']} of {name} must be a whole number.")
    grammar = options.get("grammar", "auto")
    if grammar not in _GRAMMARS:
        raise UnknownNameError("way of the option grammar", grammar, _GRAMMARS)
    if grammar == "auto" and not installed():
        grammar = "off"
    return How(
        batch=max(1, int(options.get("batch", "64"))),
        grammar=grammar,
        template_options=read_object(options.get("chat_template_kwargs", "{}"), "chat_template_kwargs", name),
    )


def _precision(settings: Settings, device: str) -> str:
    """The dtype of the weights: what is fastest on this device, unless the settings say."""
    chosen = choose(settings.precision, device).kind
    return "float32" if chosen == "tf32" else chosen
