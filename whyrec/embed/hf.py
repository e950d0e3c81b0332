"""Sentence-transformers models from a local folder or a hub name (extra [hf])."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from whyrec.embed.embedder import Vectors, unit_rows
from whyrec.errors import UsageError
from whyrec.llm.weights.bars import bars
from whyrec.llm.weights.digest import revision_of
from whyrec.precision import Kind, casting, choose, products


class HuggingFace:
    """Any sentence-transformers model; its own pooling and prompts, rows scaled to length 1.

    Its name is the digest of its files (`whyrec.llm.weights.digest`), so a folder that was moved gives vectors of the
    same name, and the precision its products are computed in where that is not float32.

    Args:
        model: a local folder or a hub name.

    Raises:
        UsageError: the extra is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        if not model:
            raise UsageError(
                "Name a model: hf:FOLDER or hf:HUB/NAME, for example hf:sentence-transformers/all-MiniLM-L6-v2."
            )
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise UsageError(
                "hf: embedders need sentence-transformers; install it with pip install 'whyrec[hf]'."
            ) from None
        try:
            with bars(wanted=not Path(model).is_dir()):  # a folder is read in a moment
                self._model: Any = SentenceTransformer(model)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"The embedding model {model!r} is neither a folder of sentence-transformers nor reachable on the hub "
                f"({str(error).splitlines()[0]}). Give the path of a downloaded model."
            ) from None
        self._kind: Kind = choose("auto", self._model.device.type).kind
        coarse = "" if self._kind in ("float32", "tf32") else f"-{self._kind}"
        self.name = f"hf-{revision_of(model) or model}{coarse}"
        width = getattr(self._model, "get_embedding_dimension", None) or self._model.get_sentence_embedding_dimension
        self.width = int(width())

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), width], unit rows."""
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        with products(self._kind), casting(self._kind, self._model.device.type):
            found = self._model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False)
        return unit_rows(found)
