"""What stands around a result: titles of its items, steps of its template, which pages of its lists are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.requests import Request

from whyrec.errors import UnknownNameError, UsageError
from whyrec.ui.shapes import Around
from whyrec.ui.site import Site

if TYPE_CHECKING:
    from whyrec.data import Corpus

_MOST_IDS = 10_000


def around(request: Request, site: Site, data: object = None) -> Around:
    """For a page of a result.

    Args:
        request: its `at` says which block is shown from which row on ("ranking~20").
        site: whose home templates are looked for in.
        data: the data set that the result is of; without one items have no titles.
    """
    from whyrec.data import Corpus

    corpus = data if isinstance(data, Corpus) else None

    def titles(ids: Sequence[str | int]) -> Mapping[str | int, str]:
        return {} if corpus is None or len(ids) > _MOST_IDS else _titles(corpus, ids)

    return Around(titles, lambda name: _template(site, name), _pages(request))


def _titles(corpus: Corpus, ids: Sequence[str | int]) -> dict[str | int, str]:
    """Titles by id or dense index, of those that are there."""
    table = corpus.catalogue
    found: dict[str | int, str] = {
        one: str(table["title"][one - 1]) for one in ids if isinstance(one, int) and 1 <= one <= corpus.n_items
    }
    wanted = list({one for one in ids if isinstance(one, str)})
    if wanted:
        rows = table.filter(table["id"].is_in(wanted)).select("id", "title").rows()
        found |= {str(one): str(title) for one, title in rows}
    return found


def _template(site: Site, name: str) -> tuple[str, ...]:
    from graphs.scoter.templates import find

    with suppress(UsageError, UnknownNameError):
        return find(site.settings.home, name).steps if name else ()
    return ()


def _pages(request: Request) -> dict[str, int]:
    block, _, at = request.query_params.get("at", "").rpartition("~")
    return {block: int(at)} if at.isdecimal() and len(at) < 10 else {}
