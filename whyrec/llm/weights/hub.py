"""A model from the hub, by huggingface_hub: what it weighs and under which licence first, then its files.

Only what opens a model is taken: one form of the weights, configuration, tokenizer, template. A download that broke off
goes on where it stopped. Every file is held against the size and, where the hub publishes one, the sha256 it has there.
The one door to huggingface_hub, beside whyrec/llm/weights/digest.py, which asks it where loaded models lie.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError
from whyrec.llm.weights.bars import somebody_looks
from whyrec.llm.weights.catalogue import Kind
from whyrec.llm.weights.digest import file_digest

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
_PLAIN = (".json", ".jinja", ".txt", ".model", ".tiktoken")
_MODULE = re.compile(r"[0-9]+_\w+/[\w.-]+")  # sentence-transformers' own sub-folders
_NOT_READ = re.compile(r"(onnx|openvino|tf|flax)_|consolidated|LICENSE|README|requirements", re.IGNORECASE)
_TIMEOUT_S = 10.0


class Unreachable(Exception):
    """The hub does not answer here; the message says why, without a full stop."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as the hub has it now.

    Attributes:
        repo: ORGANISATION/NAME.
        commit: what is fetched, exactly.
        licence: as stated there, "" where nobody did.
        kind: what opens it.
        files: name -> (bytes, sha256 or "").
    """

    repo: str
    commit: str
    licence: str
    kind: Kind
    files: dict[str, tuple[int, str]]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(size for size, _ in self.files.values())

    @property
    def source(self) -> str:
        """Where it comes from, in words."""
        return f"hub {self.repo}@{self.commit}"


def look(repo: str, *, file: str = "") -> Listed:
    """What a model weighs and holds.

    Args:
        repo: ORGANISATION/NAME.
        file: one GGUF file of it, "" for the model's own folder.

    Raises:
        Unreachable: no answer.
        UsageError: there is no such model or file, or it is not shown to everybody.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
    except ImportError:
        raise Unreachable("huggingface_hub is not installed: pip install 'whyrec[hf]'") from None
    try:
        info: Any = HfApi().model_info(repo, files_metadata=True, timeout=_TIMEOUT_S)
    except (RepositoryNotFoundError, HFValidationError):
        raise UsageError(
            f"The hub has no model {repo}, or does not show it to you. Look at the spelling; models behind an "
            "agreement want `hf auth login` first."
        ) from None
    except Exception as error:  # of the client below it, which changes with its versions
        raise Unreachable(_short(error)) from None
    sizes = {one.rfilename: (int(one.size or 0), _sha256(one)) for one in info.siblings or ()}
    names = _one_file(repo, file, sizes) if file else _opening(repo, sizes)
    kind: Kind = "embedder" if "modules.json" in names else "language model"
    return Listed(repo, str(info.sha or "main"), _licence(info), kind, {name: sizes[name] for name in names})


def bring(listed: Listed, folder: Path, *, loud: bool = False) -> None:
    """Fetch every file into `folder`, going on where an earlier attempt stopped; nothing else is left there.

    Args:
        listed: what to fetch.
        folder: where to.
        loud: whether bars may be drawn, where standard error is a terminal.

    Raises:
        UsageError: the download broke off, or a file is not what the hub says it is.
    """
    from huggingface_hub import snapshot_download

    try:
        with _bars(wanted=loud):
            snapshot_download(
                listed.repo, revision=listed.commit, local_dir=folder, allow_patterns=[*map(_literal, listed.files)]
            )
    except Exception as error:
        raise UsageError(
            f"The download of {listed.repo} broke off ({_short(error)}). Run the same command again: it goes on where "
            "it stopped."
        ) from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in listed.files:
            path.unlink()
    for name, (size, sha256) in listed.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size or (sha256 and file_digest(path) != sha256):
            path.unlink(missing_ok=True)
            raise UsageError(f"{name} of {listed.repo} did not come as the hub has it. Run the same command again.")


@contextmanager
def _bars(*, wanted: bool) -> Iterator[None]:
    """The hub's bars, only if they are wanted and somebody looks."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if (wanted and somebody_looks()) or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _opening(repo: str, sizes: dict[str, tuple[int, str]]) -> list[str]:
    """The files that open a model: one form of its weights and what is small."""
    top = [name for name in sizes if "/" not in name and not _NOT_READ.match(name)]
    weights = [name for name in top if name.endswith(".safetensors")]
    weights = [name for name in weights if name.startswith("model")] or weights
    weights = weights or [name for name in top if re.fullmatch(r"pytorch_model.*\.bin", name)]
    if not weights or "config.json" not in sizes:
        packed = sorted(name for name in sizes if name.endswith(".gguf"))
        how = f" It has GGUF files; name one: {', '.join(f'{repo}/{name}' for name in packed[:12])}." if packed else ""
        raise UsageError(f"{repo} on the hub holds no weights that transformers opens.{how}")
    small = [name for name in top if name.endswith(_PLAIN)]
    modules = [name for name in sizes if "modules.json" in sizes and _MODULE.fullmatch(name)]
    return sorted({*weights, *small, *(m for m in modules if m.endswith((*_PLAIN, ".safetensors")))})


def _one_file(repo: str, file: str, sizes: dict[str, tuple[int, str]]) -> list[str]:
    if file not in sizes:
        packed = sorted(name for name in sizes if name.endswith(".gguf"))
        raise UsageError(f"{repo} on the hub has no file {file}. Its GGUF files: {', '.join(packed[:20]) or 'none'}.")
    return [file]


def _licence(info: Any) -> str:
    card = getattr(info, "card_data", None)
    found = getattr(card, "license", None) or next(
        (tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")), ""
    )
    return ", ".join(found) if isinstance(found, list) else str(found)


def _sha256(sibling: Any) -> str:
    lfs = getattr(sibling, "lfs", None)
    return str(getattr(lfs, "sha256", "") or "")


def _literal(name: str) -> str:
    """A pattern that this name alone fits."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _short(error: BaseException) -> str:
    said = str(error).strip().partition("\n")[0][:200].rstrip(". ")
    return said or type(error).__name__
