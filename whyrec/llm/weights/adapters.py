"""What `whyrec tune` left on this machine: a folder each in `$WHYREC_HOME/tuned`, with a manifest once it is whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.weights.digest import MANIFEST, content_digest
from whyrec.llm.weights.shelf import read_json
from whyrec.settings import Settings

FOLDER = "tuned"


@dataclass(frozen=True)
class Adapter:
    """A tuned model.

    Attributes:
        name: what stands behind `tuned:`.
        folder: adapters, or all weights where all were tuned, with tokenizer and chat template.
        manifest: base, rows, settings, dev curve, licence: what it is and how it came about.
    """

    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def whole(self) -> bool:
        """Whether the folder has all weights, so that no base is needed beside it."""
        return (self.folder / "config.json").is_file()

    @property
    def base(self) -> Path:
        """The folder of the base that the adapters belong to.

        Raises:
            UsageError: it is gone, or it is not what was tuned.
        """
        told = self.manifest["base"]
        folder = Path(told["folder"])
        where = f"The base {told['name']} of tuned:{self.name}"
        if not (folder / "config.json").is_file():
            raise UsageError(f"{where} is not in {folder} any more. Bring it back (`whyrec llm get`), or tune anew.")
        if content_digest(folder) != told["digest"]:
            raise UsageError(f"{where} in {folder} is not what was tuned: its files have changed. Tune anew.")
        return folder


def adapters_folder(settings: Settings) -> Path:
    """Where tuned models lie."""
    return settings.home / FOLDER


def adapters(settings: Settings) -> dict[str, Adapter]:
    """Every tuned model that is finished, by name."""
    folder = adapters_folder(settings)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    found = ((path, read_json(path / MANIFEST)) for path in paths)
    return {path.name: Adapter(path.name, path, told) for path, told in found if _is_manifest(told)}


def find_adapter(name: str, *, settings: Settings) -> Adapter:
    """The tuned model of a name, or of an unmistakable beginning of it.

    Raises:
        UnknownNameError: there is none; says which there are.
    """
    here = adapters(settings)
    like = [name] if name in here else [one for one in here if name and one.startswith(name)]
    if len(like) == 1:
        return here[like[0]]
    hint = "Several begin so." if like else "`whyrec tune ROWS --base …` makes one."
    raise UnknownNameError("tuned model", name, here, hint=hint)


def write_manifest(folder: Path, told: dict[str, Any]) -> None:
    """Say what a folder holds: from here on it is whole."""
    draft = folder / f"{MANIFEST}.part"
    draft.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / MANIFEST)


def _is_manifest(told: Any) -> bool:
    base = told.get("base") if isinstance(told, dict) else None
    return isinstance(base, dict) and all(isinstance(base.get(name), str) for name in ("name", "folder", "digest"))
