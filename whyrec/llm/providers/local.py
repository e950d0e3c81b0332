"""A model that `whyrec llm get` brought here: `local:NAME`, with the options of `transformers:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whyrec.llm.weights.shelf import find
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World
    from whyrec.llm.providers.decoding.model import LocalModel


def open_local(rest: str, *, settings: Settings, world: World | None) -> LocalModel:
    """`local:NAME?option=value&...`.

    Raises:
        UsageError: the model is not here yet, is an embedder, cannot be loaded, or an option is wrong.
        UnknownNameError: no such model, or an option nobody knows.
    """
    name, mark, query = rest.partition("?")
    found = find(name, settings=settings, kind="language model")
    from whyrec.llm.providers.transformers import open_transformers

    model = open_transformers(f"{found.folder}{mark}{query}", settings=settings, world=world)
    model.name = f"local:{rest}"
    return model
