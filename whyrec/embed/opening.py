"""One string opens an embedder.

lsa[:WIDTH]            TF-IDF and truncated SVD fitted on the catalogue: the embedded default, no weights
hf:FOLDER_OR_NAME      any sentence-transformers model (extra [hf])
local:NAME             one that `whyrec llm get NAME` brought here, such as local:minilm (extra [hf])
openai:MODEL[@URL]     any OpenAI-compatible /embeddings endpoint, `vllm serve` included
hashed[:WIDTH]         word hashes, for tests: similar words, similar vectors, no fitting
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from whyrec.embed.embedder import Embedder
from whyrec.errors import UnknownNameError, UsageError

KINDS = ("hashed", "hf", "local", "lsa", "openai")
_WEIGHTS = ("hf", "local")


def open_embedder(name: str, *, fit_on: Sequence[str] = (), cache: Path | None = None) -> Embedder:
    """The embedder a string names.

    Args:
        name: as in the table above.
        fit_on: texts an `lsa` embedder is fitted on (the catalogue's; never a target's review).
        cache: folder where a fitted `lsa` embedder is kept, so that the next command need not fit it again, and where
            weights were found, so that their vectors can be searched again.

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
    if kind in _WEIGHTS:
        from whyrec.embed.hf import HuggingFace

        opened = HuggingFace(_weights(kind, rest))
        if cache is not None:
            _keep_place(cache, opened.name, name)
        return opened
    if kind == "openai":
        from whyrec.embed.openai import OpenAIEmbedder

        return OpenAIEmbedder(rest)
    raise UnknownNameError("embedder", kind, KINDS, hint="Write it as KIND or KIND:MODEL, for example lsa:256.")


def embedder_identity(name: str) -> str:
    """What a string that names an embedder stands for in the identity of what it makes: of weights their content,
    wherever they lie; of all others the string.

    Raises:
        UsageError, UnknownNameError: `local:` names no embedder that is here.
    """
    kind, _, rest = name.partition(":")
    if kind not in _WEIGHTS or not rest:
        return name
    from whyrec.llm.weights.digest import revision_of

    found = revision_of(_weights(kind, rest))
    return f"hf-{found}" if found else name


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
        return open_embedder(_kept_place(cache, name) or name.replace("-", ":", 1))
    from whyrec.embed.lsa import Lsa

    found = Lsa.kept(name, cache)
    if found is None:
        raise UsageError(
            f"The embedder {name} is not kept in {cache} any more. `whyrec search TEXT --data DATA` makes it again."
        )
    return found


def _weights(kind: str, rest: str) -> str:
    """The folder or hub name of weights."""
    if kind == "hf":
        return rest
    from whyrec.llm.weights.shelf import find
    from whyrec.settings import read_settings

    return str(find(rest, settings=read_settings(), kind="embedder").folder)


def _keep_place(cache: Path, name: str, opened_as: str) -> None:
    """Remember what opens the embedder of this name."""
    cache.mkdir(parents=True, exist_ok=True)
    made = cache / f".{_place(cache, name).name}.{os.getpid()}"
    made.write_text(json.dumps({"opens": opened_as}) + "\n", encoding="utf-8")
    made.replace(_place(cache, name))


def _kept_place(cache: Path, name: str) -> str:
    """What opened the embedder of this name last, "" where nobody wrote it down."""
    try:
        found = json.loads(_place(cache, name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    return str(found.get("opens", "")) if isinstance(found, dict) else ""


def _place(cache: Path, name: str) -> Path:
    return cache / f"{re.sub('[^A-Za-z0-9._-]+', '-', name)[:200]}.json"


def _width(name: str, text: str, default: int) -> int:
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < 2:
        raise UsageError(f"The width in {name!r} is not a whole number of at least 2; write for example lsa:256.")
    return int(text)
