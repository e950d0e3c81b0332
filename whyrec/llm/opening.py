"""Open the model that a string names, with everything around it that a run needs.

`whyrec.runs` knows replies, and the cache and the trace know runs, so these two are imported when a model is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from typing_extensions import Unpack

from whyrec.llm.model import LanguageModel
from whyrec.llm.prices import price_of
from whyrec.llm.registry import open_provider
from whyrec.llm.wrappers.budgeted import Budget, Budgeted, pay_again
from whyrec.llm.wrappers.limited import Limited, Limits
from whyrec.llm.wrappers.retrying import Retrying
from whyrec.llm.wrappers.stamped import Stamped
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.facts import FactWorld
    from whyrec.data.generated.world import World
    from whyrec.runs import Run


class Around(TypedDict, total=False):
    """What `open` puts around a model.

    Attributes:
        run: record every call in it.
        budget: never spend more; may be shared by several models.
        limits: what the server bears; without them at most 256 requests in flight.
        cache: False asks past the call cache.
        world: what `simulated:` knows.
        retry: retry generation; a new one asks past what is cached.
    """

    run: Run | None
    budget: Budget | None
    limits: Limits | None
    cache: bool
    world: World | FactWorld | None
    retry: int


def wrap(model: LanguageModel, *, settings: Settings, **around: Unpack[Around]) -> LanguageModel:
    """A model that is already there, with retries, limits, budget, cache and trace around it (design rule 4).

    Raises:
        UsageError: the budget's price or the cache file is wrong.
    """
    from whyrec.llm.wrappers.cache_file import FILE_NAME, CacheFile
    from whyrec.llm.wrappers.cached import Cached, Digests
    from whyrec.llm.wrappers.traced import Traced

    budget, price, digests = around.get("budget") or Budget(), price_of(model.name, home=settings.home), Digests()
    sent = Retrying(Limited(model, around.get("limits")), before_retry=pay_again(budget, price, model))
    paid = Budgeted(sent, budget, price=price)
    kept = Cached(paid, CacheFile(settings.home / FILE_NAME), digests=digests) if around.get("cache", True) else paid
    run = around.get("run")
    seen = Traced(kept, run, digests=digests) if run else kept
    return Stamped(seen, run=run.id if run else "", retry=around.get("retry", 0))


def open(name: str, *, settings: Settings, **around: Unpack[Around]) -> LanguageModel:  # noqa: A001
    """The model of a name, with everything that `wrap` puts around it.

    Raises:
        UnknownNameError: nobody knows the kind of model.
        UsageError: the name, a key, a package, the budget's price or the cache file is wrong.
    """
    return wrap(open_provider(name, settings=settings, world=around.get("world")), settings=settings, **around)
