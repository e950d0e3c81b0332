"""A GGUF file becomes a folder that transformers opens: weights unpacked, tokenizer, chat template, configuration.

transformers reads GGUF and unpacks it, but does not save what it read that way; so the unpacked weights are put into a
fresh model of the same configuration, and that is saved. What was quantised stays as coarse as it was: it is written in
bfloat16, which loses less than a hundredth of what quantising lost. One door to torch and transformers beside
whyrec/llm/providers/transformers.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError
from whyrec.llm.weights.bars import bars_of_gguf
from whyrec.llm.weights.gguf_header import Header, read_header

NEEDS = ("torch", "transformers", "gguf")
_EXACT = {"F32": "float32", "F16": "float16"}  # how weights are stored -> what is written; others as bfloat16
_DROPPED = ("quantization_config", "_name_or_path", "_model_name_or_path")  # of the file it was, not of what is saved


def convert(source: Path, folder: Path, *, scratch: Path, loud: bool = False) -> Header:
    """Write a model's folder from a GGUF file.

    Args:
        source: the file.
        folder: made here; must not exist.
        scratch: an existing folder for a name of the file that transformers can be given.
        loud: whether bars may be drawn, where standard error is a terminal.

    Returns:
        What the file says of itself.

    Raises:
        UsageError: the file is damaged, or of an architecture that transformers does not read.
    """
    header = read_header(source)
    link = scratch / "model.gguf"
    link.unlink(missing_ok=True)
    link.symlink_to(source.absolute())
    try:
        with bars_of_gguf(wanted=loud):
            _write(link, folder, header, source)
    finally:
        link.unlink(missing_ok=True)
    return header


def _write(link: Path, folder: Path, header: Header, source: Path) -> None:
    import torch
    import transformers

    dtype = getattr(torch, _EXACT.get(header.main_type, "bfloat16"))
    place: dict[str, Any] = {"gguf_file": link.name}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(link.parent, **place)
        read: Any = transformers.AutoModelForCausalLM.from_pretrained(link.parent, dtype=dtype, **place, **_unpacked())
        model = type(read)(_plain(read.config)).to(dtype)
        model.load_state_dict(read.state_dict())
    except Exception as error:  # whatever a reader of other people's files meets
        said = str(error).strip().partition("\n")[0][:300].rstrip(".") or type(error).__name__
        raise UsageError(
            f"{source} ({header.architecture}, {header.main_type}) cannot be turned into a folder by transformers "
            f"{transformers.__version__}: {said}. Serve it with llama.cpp instead, or get the model's own weights."
        ) from None
    if read.generation_config is not None:
        model.generation_config = read.generation_config
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _tidy(folder)


def _unpacked() -> dict[str, Any]:
    """Newer versions keep the weights packed where they have kernels for it; here they are wanted unpacked."""
    import transformers

    packed = getattr(transformers, "GgufConfig", None)
    return {} if packed is None else {"quantization_config": packed(dequantize=True)}


def _plain(config: Any) -> Any:
    """The configuration of a model that is not packed."""
    told = config.to_dict()
    for name in _DROPPED:
        told.pop(name, None)
    return type(config)(**told)


def _tidy(folder: Path) -> None:
    """No name of the file that was read, and files that others on this machine may read as well."""
    path = folder / "config.json"
    told = json.loads(path.read_bytes())
    for name in _DROPPED:
        told.pop(name, None)
    path.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    mask = os.umask(0)
    os.umask(mask)
    for file in folder.iterdir():
        file.chmod(0o666 & ~mask)
