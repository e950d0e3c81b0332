"""What a tuning leaves behind: a folder that `--llm tuned:NAME` opens, and that PEFT and vLLM read as any adapter's.

Adapters lie in PEFT's own form; where every weight was tuned it is a plain folder of transformers. The manifest is
written last, so a folder with one is whole.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rec_models.tuning.base import Base, Learner
from rec_models.tuning.rows import Rows
from rec_models.tuning.settings import TuneSettings
from rec_models.tuning.tune import TuneReport
from whyrec.errors import UsageError
from whyrec.llm.providers.decoding.loading import hushed, load, merged
from whyrec.llm.weights.adapters import Adapter, write_manifest
from whyrec.llm.weights.digest import SOURCE

CHECKPOINTS = "checkpoints"


def save(
    folder: Path,
    learner: Learner,
    report: TuneReport,
    *,
    rows: Rows,
    base: Base,
    told: dict[str, Any],
) -> None:
    """Write a tuned model and what it is; checkpoints are not needed any more and go.

    Args:
        folder: `$WHYREC_HOME/tuned/NAME`.
        learner: the model, with the weights that are to be kept.
        report: how it came about.
        rows: what it learnt from.
        base: what it was.
        told: further entries of the manifest: "identity", "what", "settings".
    """
    with hushed(downloads=False):
        learner.model.save_pretrained(folder)
        learner.tokenizer.save_pretrained(folder)
    _in_order(folder / "adapter_config.json")
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's own, with nothing filled in
    write_manifest(
        folder,
        {
            **told,
            "base": {
                "name": base.name,
                "folder": str(base.folder),
                "digest": base.digest,
                "licence": base.licence or "not stated: look where the base came from",
                "about": base.about,
            },
            "template_options": dict(base.template_options),
            "rows": {
                "train": len(rows.train),
                "dev": len(rows.dev),
                "digest": rows.digest,
                "prompts": rows.prompts,
                "cut": report.cut,
                "made": dict(rows.made),
            },
            "report": _plain(asdict(report)),
        },
    )
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def settings_told(settings: TuneSettings) -> dict[str, Any]:
    """Settings for a manifest."""
    told: dict[str, Any] = _plain(asdict(settings))
    return told


def merge(adapter: Adapter, folder: Path, *, quiet: bool) -> None:
    """Write a tuned model as a plain folder of float32 weights, which any program for such folders opens.

    Raises:
        UsageError: the folder is there already, or the base is gone or has changed.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already. Name a folder that is not.")
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    where = adapter.folder if adapter.whole else adapter.base
    model, tokenizer = load(str(where), torch.float32, name=f"tuned:{adapter.name}", quiet=quiet)
    if not adapter.whole:
        try:
            model = merged(model, adapter.folder)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"tuned:{adapter.name} cannot be merged: {error}.") from None
    with hushed(downloads=False):
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
    base = adapter.manifest["base"]
    note = {"from": f"tuned:{adapter.name}, tuned from {base['name']}", "licence": base.get("licence", "")}
    (draft / SOURCE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    draft.rename(folder)


def _in_order(config: Path) -> None:
    """PEFT writes its set of modules in whatever order it has; equal adapters are to be equal files."""
    if not config.is_file():
        return
    told = json.loads(config.read_text(encoding="utf-8"))
    for name, value in told.items():
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            told[name] = sorted(value)
    config.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """JSON data, with None for numbers that are none."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
