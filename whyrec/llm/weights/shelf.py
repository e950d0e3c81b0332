"""Which models are on this machine: one folder each in `$WHYREC_HOME/models`, whole from the moment it has its name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.weights.catalogue import Kind, offered
from whyrec.llm.weights.digest import SOURCE
from whyrec.settings import Settings

_NAME = re.compile("[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Held:
    """A model that is here.

    Attributes:
        name: what stands behind `local:`.
        kind: what opens it.
        folder: weights, configuration, tokenizer, chat template.
        source: where it came from, in words ("" for a folder that was put here by hand).
        licence: as its publisher states it, "" where nobody did.
    """

    name: str
    kind: Kind
    folder: Path
    source: str = ""
    licence: str = ""


def models_folder(settings: Settings) -> Path:
    """Where models lie."""
    return settings.home / "models"


def checked_name(name: str) -> str:
    """A name that a folder can have everywhere.

    Raises:
        UsageError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:120]!r} is no name for a model here: use small letters, digits, '.', '-' and '_', as in "
            "smollm2-135m (--name NAME)."
        )
    return name


def held(settings: Settings) -> dict[str, Held]:
    """Every model that is here, by name."""
    folder = models_folder(settings)
    if not folder.is_dir():
        return {}
    there = (path for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name))
    return {path.name: look_at(path) for path in there if (path / "config.json").is_file()}


def look_at(folder: Path) -> Held:
    """What a folder says of itself."""
    note = read_json(folder / SOURCE)
    found = note if isinstance(note, dict) else {}
    kind: Kind = "embedder" if (folder / "modules.json").is_file() else "language model"
    return Held(folder.name, kind, folder, str(found.get("from", "")), str(found.get("licence", "")))


def find(name: str, *, settings: Settings, kind: Kind) -> Held:
    """The model behind `local:NAME`.

    Raises:
        UnknownNameError: no such model; says which are here and which can be had.
        UsageError: it can be had and is not here yet, or it is of the other kind.
    """
    here = held(settings)
    if name in here:
        found = here[name]
        if found.kind != kind:
            how = f"an embedder, as local:{name}" if found.kind == "embedder" else f"a model, as --llm local:{name}"
            raise UsageError(f"local:{name} is {_a(found.kind)} and no {kind}. Give it where {how} is wanted.")
        return found
    if name in offered():
        one = offered()[name]
        raise UsageError(
            f"{name} is not on this machine yet. `whyrec llm get {name}` fetches it ({one.packed.bytes / 1e6:,.0f} MB "
            f"or more, licence {one.licence})."
        )
    gettable = ", ".join(other for other in sorted(offered()) if other not in here and offered()[other].kind == kind)
    raise UnknownNameError(
        f"{kind} in {models_folder(settings)}",
        name,
        [other for other, model in here.items() if model.kind == kind],
        hint=f"`whyrec llm get NAME` brings {gettable or 'others'}, a model of the hub (ORGANISATION/NAME) or a GGUF "
        "file.",
    )


def _a(kind: Kind) -> str:
    return f"an {kind}" if kind == "embedder" else f"a {kind}"


def read_json(path: Path) -> Any:
    """What a JSON file holds, None where it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
