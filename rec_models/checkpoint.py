"""Where a fit stands, on disk, so that a killed fit goes on exactly where it was.

After every epoch the tensors go into `epoch-<n>.safetensors` (and `best-<n>.safetensors` when validation improved),
and then `state.json`, which names them, is replaced in one step. A kill at any moment leaves the previous state.json
and the files it names. Files nothing names are removed at the next save.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from whyrec.errors import UsageError

Tensors = dict[str, Tensor]


class Checkpoint:
    """One fit's folder.

    Args:
        folder: made if absent.
        identity: digest of everything that decides how this fit ends.

    Raises:
        UsageError: the folder holds a fit with another identity, or is a file.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder, self.identity = folder, identity
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file, but a fit keeps its checkpoints in a folder: name another place.")
        folder.mkdir(parents=True, exist_ok=True)
        state = self.state()
        if state is not None and state["identity"] != identity:
            raise UsageError(
                f"{folder} holds a fit of other data, settings, seed or starting weights. "
                "Give this fit a folder of its own, or remove that one."
            )

    def state(self) -> dict[str, Any] | None:
        """What `save` was last given, or None before the first time."""
        path = self.folder / "state.json"
        return json.loads(path.read_text()) if path.exists() else None

    def last(self) -> Tensors:
        """Tensors of the last epoch saved."""
        return self._read("last")

    def best(self) -> Tensors:
        """Tensors of the best epoch saved."""
        return self._read("best")

    def save(self, epoch: int, values: Mapping[str, Any], *, last: Tensors, best: Tensors | None) -> None:
        """Write an epoch; `best` when it is a new best, or None while the previous best stands."""
        old = self.state()
        names = {"last": f"epoch-{epoch}.safetensors", "best": f"best-{epoch}.safetensors"}
        _write(self.folder / names["last"], last)
        if best is not None:
            _write(self.folder / names["best"], best)
        elif old is not None:
            names["best"] = old["files"]["best"]
        text = json.dumps({"identity": self.identity, "files": names, **values}, indent=1)
        draft = self.folder / "state.json.part"
        draft.write_text(text)
        draft.replace(self.folder / "state.json")
        for path in self.folder.glob("*.safetensors*"):
            if path.name not in names.values():
                path.unlink()

    def _read(self, which: str) -> Tensors:
        state = self.state()
        assert state is not None
        tensors: Tensors = load_file(self.folder / state["files"][which])
        return tensors


def _write(path: Path, tensors: Tensors) -> None:
    draft = path.with_name(path.name + ".part")
    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, draft)
    draft.replace(path)


def digest(*parts: Any) -> str:
    """Hex digest of tensors, arrays and anything with a stable repr."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            part = part.detach().cpu().contiguous().view(torch.uint8).numpy()
        h.update(part.tobytes() if hasattr(part, "tobytes") else repr(part).encode())
        h.update(b"|")
    return h.hexdigest()[:16]
