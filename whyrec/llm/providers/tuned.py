"""A model that `whyrec tune` made: `tuned:NAME`, with the options of `transformers:`.

Adapters are added to their base's weights in float32 as it is opened, so it answers as fast as the base does. What it
is called in caches and runs is no name but a digest: of the adapters, the base and what its chat template is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whyrec.llm.weights.adapters import find_adapter
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World
    from whyrec.llm.providers.decoding.model import LocalModel


def open_tuned(rest: str, *, settings: Settings, world: World | None) -> LocalModel:
    """`tuned:NAME?option=value&...`.

    Raises:
        UsageError: its base is gone or has changed, it cannot be loaded, or an option is wrong.
        UnknownNameError: no such tuned model, or an option nobody knows.
    """
    name, mark, query = rest.partition("?")
    found = find_adapter(name, settings=settings)
    from whyrec.llm.providers.transformers import open_weights

    return open_weights(
        str(found.folder if found.whole else found.base),
        query,
        name=f"tuned:{found.name}{mark}{query}",
        settings=settings,
        adapter=None if found.whole else found.folder,
        template_options=found.manifest.get("template_options"),
    )
