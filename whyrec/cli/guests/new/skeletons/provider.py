"""taste: language models of your own, named `taste:ANYTHING`.

    whyrec run cot_rec.describe --data world --llm taste:demo --users 3

`open_` gets what stands after the colon. Cache, retries, rate limits, budget and trace are put around the model by
whyrec; it only has to ask. This one answers by the built-in `extractive`, so that it runs anywhere: put the call of
your own service into `complete`. docs/plugins.md explains each part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whyrec.errors import UsageError
from whyrec.llm.built_in.extractive import Extractive
from whyrec.llm.model import LanguageModel, Reply, Request
from whyrec.llm.registry import Provider
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.facts import FactWorld
    from whyrec.data.generated.world import World


class Taste:
    """A model. `name` stands in every record; `revision` changes where the same question may get another answer."""

    revision = "1"

    def __init__(self, model: str) -> None:
        self.name = f"taste:{model}"
        self._inner = Extractive()

    async def complete(self, request: Request) -> list[Reply]:
        """One reply per sample of the request. `request.messages` is what is said, `request.sampling` how to draw.

        Raises:
            ModelError: the service gave no answer; whyrec tries again where `retryable` says so.
        """
        return await self._inner.complete(request)

    async def close(self) -> None:
        """Give connections back."""
        await self._inner.close()


def open_(rest: str, *, settings: Settings, world: World | FactWorld | None) -> LanguageModel:
    """The model behind `taste:REST`. Keys come from the environment, never from `rest`, which is recorded."""
    del settings, world
    if not rest:
        raise UsageError("A model of taste is named taste:MODEL, as in taste:demo.")
    return Taste(rest)


PROVIDER = Provider("taste", open_, "models of your own service", "taste:demo", real=False)
