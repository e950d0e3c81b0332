"""What a model's weights are called: a digest of all that can change an answer, wherever the folder lies.

Two folders with the same weights, configuration, tokenizer and chat template are one model, so a folder that was moved
or copied finds its answers in the cache; one other byte makes another model. Whole files are read, once: the sha256 of
a large file is kept beside it with its size and time of change (`.digests.json`), where the folder can be written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError

KEPT = ".digests.json"
SOURCE = "SOURCE.json"  # where a folder came from; changes no answer
MANIFEST = "manifest.json"  # how a tuned model came about, in its folder; changes no answer
_KINDS = frozenset({".json", ".safetensors", ".bin", ".jinja", ".model", ".txt", ".tiktoken"})
_NOTHING = frozenset({KEPT, SOURCE, MANIFEST, "training_args.bin", "trainer_state.json", "LICENSE.txt", "README.txt"})
_LARGE = 1 << 20
_DIGITS = 16


def content_digest(folder: Path, *, below: bool = True) -> str:
    """16 hex digits of a model's folder: weights, configuration, tokenizer, template, and of what it builds upon.

    Of sub-folders only those count that `modules.json` names (sentence-transformers); of an adapter's folder also the
    folder of its base model, unless `below` is False.

    Raises:
        UsageError: a file cannot be read.
    """
    total = hashlib.sha256()
    try:
        kept = _kept(folder)
        known = dict(kept)
        for path in _parts(folder):
            name = path.relative_to(folder).as_posix()
            total.update(f"{name} {_file(path, name, known)}\n".encode("utf-8", "surrogateescape"))
        if known != kept:
            _keep(folder, known)
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be read: {error.strerror or error}.") from None
    if below and (base := _base(folder)):
        total.update(f"base {content_digest(base)}\n".encode())
    return total.hexdigest()[:_DIGITS]


def revision_of(where: str, *, template: str = "") -> str:
    """What changes when the answers of local weights may, "" for a hub name whose files are not found here.

    Args:
        where: a folder, or a hub name that was loaded before.
        template: a file with a chat template that takes the place of the folder's own.

    Raises:
        UsageError: a file cannot be read.
    """
    folder = folder_of(where)
    if folder is None:
        return ""
    found = content_digest(folder)
    if not template:
        return found
    try:
        said = Path(template).read_bytes()
    except OSError as error:
        raise UsageError(f"The chat template {template} cannot be read: {error.strerror or error}.") from None
    return hashlib.sha256(found.encode() + said).hexdigest()[:_DIGITS]


def folder_of(where: str) -> Path | None:
    """The folder of a path or of a hub name that has been loaded; None where there is none."""
    if Path(where).is_dir():
        return Path(where)
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    for name in (where, f"sentence-transformers/{where}"):
        with contextlib.suppress(HFValidationError):
            found: Any = try_to_load_from_cache(name, "config.json")
            if isinstance(found, str):
                return Path(found).parent
    return None


def file_digest(path: Path) -> str:
    """sha256 of a whole file, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _parts(folder: Path) -> list[Path]:
    """The files that count, in order."""
    folders = [folder, *(folder / name for name in _modules(folder))]
    found = {p for one in folders if one.is_dir() for p in one.iterdir() if p.suffix in _KINDS and p.is_file()}
    return sorted(path for path in found if path.name not in _NOTHING)


def _modules(folder: Path) -> list[str]:
    """The sub-folders that modules.json names, inside this one."""
    found = _json(folder / "modules.json")
    paths = [entry.get("path") for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return [path for path in paths if isinstance(path, str) and path and "\0" not in path and ".." not in path]


def _base(folder: Path) -> Path | None:
    """The folder of the model that an adapter's folder builds upon."""
    found = _json(folder / "adapter_config.json")
    base = found.get("base_model_name_or_path") if isinstance(found, dict) else None
    if not isinstance(base, str) or not base or "\0" in base or (folder / "config.json").exists():
        return None
    below = folder_of(base)
    return None if below is None or below.resolve() == folder.resolve() else below


def _file(path: Path, name: str, known: dict[str, list[Any]]) -> str:
    """The sha256 of a file; a large one is read only where it has changed since it was last read."""
    if path.name == "adapter_config.json":
        return _without_path(path)
    seen = path.stat()
    if seen.st_size < _LARGE:
        return file_digest(path)
    state = [seen.st_size, seen.st_mtime_ns]
    before = known.get(name)
    if before is not None and before[:2] == state:
        return str(before[2])
    found = file_digest(path)
    known[name] = [*state, found]
    return found


def _without_path(path: Path) -> str:
    """The digest of an adapter's configuration without where its base lies, which changes when that is moved."""
    found = _json(path)
    if not isinstance(found, dict):
        return file_digest(path)
    found.pop("base_model_name_or_path", None)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _kept(folder: Path) -> dict[str, list[Any]]:
    """File -> [bytes, time of change, sha256], of what was read before; anything odd is read again."""
    found = _json(folder / KEPT)
    if not isinstance(found, dict):
        return {}
    return {
        name: entry
        for name, entry in found.items()
        if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], str) and len(entry[2]) == 64
    }


def _keep(folder: Path, known: dict[str, list[Any]]) -> None:
    made = folder / f"{KEPT}.{os.getpid()}"
    try:
        made.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        made.replace(folder / KEPT)
    except OSError:  # a folder that only others may write: it is read again next time
        with contextlib.suppress(OSError):
            made.unlink(missing_ok=True)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
