"""Opening weights: what is loaded is said where it takes a while, and nothing else is."""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers

from whyrec.llm.weights.bars import bars

_PATIENCE_S = 2.0  # what takes less is not worth a line
_WEIGHTS = (".safetensors", ".bin", ".gguf")


@contextmanager
def told(name: str, where: str, *, quiet: bool) -> Iterator[None]:
    """Says on stderr that this model is being loaded, once that takes seconds, and how long it took.

    Args:
        name: of the model.
        where: its folder, or its name on the hub.
        quiet: say nothing.
    """
    began = time.monotonic()
    size = _size(where)
    line = threading.Timer(_PATIENCE_S, _say, [f"Loading {name}{f' ({size / 1e9:.1f} GB)' if size else ''} …"])
    line.daemon = True
    if not quiet:
        line.start()
    try:
        yield
    finally:
        line.cancel()
    seconds = time.monotonic() - began
    if not quiet and seconds > _PATIENCE_S:
        _say(f"Loaded {name} in {seconds:.0f} s.")


@contextmanager
def hushed(*, downloads: bool) -> Iterator[None]:
    """transformers without its bars, logs and warnings, which are not this program's; what they were comes back.

    Args:
        downloads: whether the bars of a download may be shown, where standard error is a terminal.
    """
    logs = transformers.utils.logging
    level = logs.get_verbosity()
    hub = logging.getLogger("huggingface_hub")
    hub_level = hub.level
    logs.set_verbosity(logging.CRITICAL)
    hub.setLevel(logging.CRITICAL)
    try:
        with bars(wanted=downloads), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logs.set_verbosity(level)
        hub.setLevel(hub_level)


def load(where: str, dtype: Any, *, name: str, quiet: bool) -> tuple[Any, Any]:
    """(model, tokenizer) of a folder or a hub name.

    Raises:
        OSError, ValueError, RuntimeError: as transformers says it cannot.
    """
    local = Path(where).is_dir()
    with told(name, where, quiet=quiet), hushed(downloads=not (local or quiet)):
        tokenizer = transformers.AutoTokenizer.from_pretrained(where)
        return transformers.AutoModelForCausalLM.from_pretrained(where, dtype=dtype), tokenizer


def merged(model: Any, adapter: Path) -> Any:
    """The model with the adapters of a folder added to its weights, a plain model of transformers again.

    Raises:
        OSError, ValueError, RuntimeError: they are not there or do not fit, or PEFT is not installed.
    """
    with hushed(downloads=False):
        try:
            import peft
        except ImportError:
            raise ValueError('adapters need PEFT, which is not installed: pip install "whyrec[hf]"') from None
        return peft.PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()


def _size(where: str) -> int:
    """Bytes of the weights in a folder; 0 for a name on the hub."""
    folder = Path(where)
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix in _WEIGHTS) if folder.is_dir() else 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
