"""One string opens an embedder.

lsa[:WIDTH]            TF-IDF and truncated SVD fitted on the catalogue: the embedded default, no weights
hf:FOLDER_OR_NAME      any sentence-transformers model (extra [hf])
openai:MODEL[@URL]     any OpenAI-compatible /embeddings endpoint, `vllm serve` included
hashed[:WIDTH]         word hashes, for tests: similar words, similar vectors, no fitting
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from whyrec.embed.embedder import Embedder
from whyrec.errors import UnknownNameError, UsageError

KINDS = ("hashed", "hf", "lsa", "openai")


def open_embedder(name: str, *, fit_on: Sequence[str] = (), cache: Path | None = None) -> Embedder:
    """The embedder a string names.

    Args:
        name: as in the table above.
        fit_on: texts an `lsa` embedder is fitted on (the catalogue's; never a target's review).
        cache: folder where a fitted `lsa` embedder is kept, so that the next command need not fit it again.

    Raises:
        UnknownNameError: no such kind.
        UsageError: a wrong width, an empty catalogue, a model folder or server that cannot be used.
    """
    kind, _, rest = name.partition(":")
    if kind == "lsa":
        from whyrec.embed.lsa import Lsa

        return Lsa.fit(fit_on, width=_width(name, rest, 256), cache=cache)
    if kind == "hashed":
        from whyrec.embed.hashed import Hashed

        return Hashed(_width(name, rest, 64))
    if kind == "hf":
        from whyrec.embed.hf import HuggingFace

        return HuggingFace(rest)
    if kind == "openai":
        from whyrec.embed.openai import OpenAIEmbedder

        return OpenAIEmbedder(rest)
    raise UnknownNameError("embedder", kind, KINDS, hint="Write it as KIND or KIND:MODEL, for example lsa:256.")


def check_embedder(name: str) -> None:
    """Whether a string names an embedder, before anything is spent on its texts; errors as `open_embedder`."""
    kind, _, rest = name.partition(":")
    if kind == "lsa":
        _width(name, rest, 256)
    else:
        open_embedder(name)


def reopen_embedder(name: str, *, cache: Path) -> Embedder:
    """The embedder whose vectors carry this name; a fitted one is read from where it was kept.

    Raises:
        UsageError: it was not kept, or cannot be opened.
        UnknownNameError: no such kind.
    """
    if not name.startswith("lsa"):
        return open_embedder(name.replace("-", ":", 1))
    from whyrec.embed.lsa import Lsa

    found = Lsa.kept(name, cache)
    if found is None:
        raise UsageError(
            f"The embedder {name} is not kept in {cache} any more. `whyrec search TEXT --data DATA` makes it again."
        )
    return found


def _width(name: str, text: str, default: int) -> int:
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < 2:
        raise UsageError(f"The width in {name!r} is not a whole number of at least 2; write for example lsa:256.")
    return int(text)
