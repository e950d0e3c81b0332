"""The model that is tuned: which weights, which of them learn, and in what they are computed.

Products are computed in the precision that is fastest here; what learns and the head are float32 whatever that is, so
that steps far smaller than bfloat16 can tell are not lost and losses are those of float32 logits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

from rec_models.tuning import tiny
from rec_models.tuning.encoding import Batch
from rec_models.tuning.rows import Rows
from rec_models.tuning.settings import ALL_LINEAR, TuneSettings
from whyrec.errors import UsageError
from whyrec.llm.naming.address import read_object, read_options
from whyrec.llm.providers.decoding.loading import hushed, load
from whyrec.llm.providers.decoding.rendering import Rendering
from whyrec.llm.weights.digest import content_digest, folder_of
from whyrec.llm.weights.shelf import find, look_at
from whyrec.precision import Kind
from whyrec.settings import Settings

_KWARGS = "chat_template_kwargs"


@dataclass(frozen=True)
class Base:
    """Weights to begin with.

    Attributes:
        name: as given, in the form that opens it again as a model: "local:NAME" or "transformers:FOLDER".
        folder: where they lie.
        digest: of all in it that can change an answer.
        licence, about: as their publisher states them, "" where nobody did.
        template_options: further arguments of the chat template, in training and in use.
    """

    name: str
    folder: Path
    digest: str
    licence: str = ""
    about: str = ""
    template_options: Mapping[str, Any] = field(default_factory=dict)


def find_base(name: str, *, rows: Rows, settings: Settings) -> Base:
    """The base of a name: "tiny", "local:NAME", or a folder or hub name that was loaded before.

    Args:
        name: with `?chat_template_kwargs={…}` where the chat template takes further arguments.
        rows: what it is for; the tiny base is made for them.
        settings: folders.

    Raises:
        UsageError: it is not here, or is no language model.
        UnknownNameError: `local:` names nothing that is here.
    """
    where, _, query = name.partition("?")
    told = read_options(query, "&")
    if unknown := sorted(told.keys() - {_KWARGS}):
        raise UsageError(f"A base takes the option {_KWARGS} alone, not {', '.join(unknown)}.")
    options = read_object(told.get(_KWARGS, "{}"), _KWARGS, where)
    if where == tiny.NAME:
        folder = tiny.make_tiny(settings.home / "models" / f"{tiny.NAME}-{rows.digest[:8]}", rows)
        return Base(f"local:{folder.name}", folder, content_digest(folder), "Apache-2.0", tiny.ABOUT, options)
    if where.startswith("local:"):
        held = find(where.removeprefix("local:"), settings=settings, kind="language model")
        return Base(where, held.folder, content_digest(held.folder), held.licence, held.source, options)
    where = where.removeprefix("transformers:")
    found = folder_of(where)
    if found is None or not (found / "config.json").is_file():
        raise UsageError(
            f"{where} is no folder with a language model. Name one, or local:NAME (`whyrec llm get` brings models), "
            "or tiny, which is made on the spot."
        )
    held = look_at(found)
    return Base(f"transformers:{where}", found.resolve(), content_digest(found), held.licence, held.source, options)


@dataclass
class Learner:
    """A model that is being tuned.

    Attributes:
        model: of transformers, with adapters of PEFT around it where they learn.
        rendering: of its chat template.
        end, pad: tokens that end an answer and fill up a batch.
        context: how many tokens it can read.
    """

    model: Any
    tokenizer: Any
    rendering: Rendering
    end: int
    pad: int
    context: int

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """What learns, by name."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def logits(self, batch: Batch) -> torch.Tensor:
        """Logits [B, K, V] of the last K columns, float32."""
        columns = batch.answers_BK.shape[1]
        out = self.model(
            input_ids=batch.ids_BT,
            attention_mask=batch.mask_BT,
            position_ids=batch.places_BT,
            use_cache=False,
            logits_to_keep=columns,
        )
        found: torch.Tensor = out.logits[:, -columns:].float()
        return found


def open_learner(base: Base, settings: TuneSettings, *, kind: Kind, seed: int, quiet: bool) -> Learner:
    """The base with what is to learn of it set free; adapters start from this seed and change nothing yet.

    Raises:
        UsageError: the weights cannot be loaded, have no chat template, or no such modules; or PEFT is not installed.
    """
    frozen_half = settings.method == "lora" and kind == "bfloat16"
    dtype = torch.bfloat16 if frozen_half else torch.float32
    try:
        model, tokenizer = load(str(base.folder), dtype, name=base.name, quiet=quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"The base {base.name} cannot be loaded: {str(error).splitlines()[0][:300]}.") from None
    rendering = Rendering(tokenizer, name=base.name, options=base.template_options)
    if tokenizer.eos_token_id is None:
        raise UsageError(f"The tokenizer of {base.name} has no token that ends an answer.")
    if settings.recompute:
        with hushed(downloads=False):
            model.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.method == "lora":
        model = _adapted(model, base, settings, seed)
    exact_head(model)
    model = model.to(settings.device)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    context = getattr(model.config, "max_position_embeddings", None) or 1 << 30
    return Learner(model, tokenizer, rendering, tokenizer.eos_token_id, pad, context)


def _adapted(model: Any, base: Base, settings: TuneSettings, seed: int) -> Any:
    try:
        with hushed(downloads=False):
            import peft
    except ImportError:
        raise UsageError('Adapters need PEFT, which is not installed: pip install "whyrec[hf]".') from None
    modules: Any = list(settings.modules)
    if modules == [ALL_LINEAR]:
        modules = ALL_LINEAR
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=modules,
        base_model_name_or_path=str(base.folder),
    )
    try:
        with hushed(downloads=False), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return peft.get_peft_model(model, config)
    except ValueError as error:
        raise UsageError(f"{base.name} cannot be adapted: {str(error).splitlines()[0][:300]}.") from None


def exact_head(model: Any) -> None:
    """Logits are computed in float32, whatever the layers below are computed in."""
    head = model.get_output_embeddings()

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            bias = None if head.bias is None else head.bias.float()
            return linear(hidden.float(), head.weight.float(), bias)

    head.forward = forward


def memory(base: Base, settings: TuneSettings, *, kind: Kind) -> float:
    """About how many bytes a tuning takes at its largest: weights, gradients, Adam's moments, one pass' activations.

    An estimate from the configuration alone, before anything is loaded; nothing is refused by it.
    """
    config = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)
    width, layers = int(config.get("hidden_size", 768)), int(config.get("num_hidden_layers", 12))
    inner, vocabulary = int(config.get("intermediate_size", 4 * width)), int(config.get("vocab_size", 32_000))
    each = 4 * width * width + 3 * width * inner
    total = layers * each + vocabulary * width
    lora = settings.method == "lora"
    learning = layers * settings.rank * 2 * (6 * width + inner) if lora else total
    held = total * (2 if lora and kind == "bfloat16" else 4) + (learning * 4 if lora else 0)
    per_token = layers * (2 * width if settings.recompute else 12 * width + 4 * inner) * 4
    rows = max(1, settings.tokens_at_once // settings.longest)
    logits = 3 * 4 * vocabulary * (rows * 2 if settings.objective != "completion" else settings.tokens_at_once)
    return float(held + 12 * learning + settings.tokens_at_once * per_token + logits)
