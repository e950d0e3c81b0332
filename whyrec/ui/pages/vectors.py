"""Collections of vectors: a map by their two main directions, and what is nearest to a text."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from whyrec.errors import LockedError, UnknownNameError, UsageError
from whyrec.ui.site import site_of

_MOST = 3000
_NEAREST = 12
_NOTHING = 0.005  # the cosine of texts that share no word
_WIDTH, _HEIGHT, _EDGE = 720, 460, 14
_ONE_AT_A_TIME = threading.Lock()  # embedded Chroma is for one user of a folder


@dataclass(frozen=True)
class Dot:
    """A text on the map."""

    id: str
    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Map:
    """A map of at most so many rows, and how much of all differences its two directions show."""

    dots: tuple[Dot, ...]
    share: float
    width: int = _WIDTH
    height: int = _HEIGHT


def vectors(request: Request) -> Response:
    """The collections; the map of one; the texts nearest to one."""
    site, given = site_of(request), request.query_params
    name, text = given.get("collection", ""), given.get("text", "").strip()
    folder = site.settings.home / "vectors"
    if not folder.is_dir():
        return site.page(request, "vectors.html", listed=[], name="", text="", map=None, hits=[], problem="")
    from whyrec.embed.store import VectorStore

    drawn, hits, problem = None, [], ""
    with _ONE_AT_A_TIME:
        try:
            store = VectorStore(folder)
        except LockedError as error:
            return site.page(
                request, "vectors.html", listed=[], name="", text="", map=None, hits=[], problem=str(error)
            )
        try:
            listed = store.listed()
            name = name or (listed[0].name if listed else "")
            if name:
                drawn = draw(*store.vectors(name, most=_MOST))
            if name and text:
                try:
                    hits = _near(store, name, text, site.settings.home / "embedders")
                except (UsageError, UnknownNameError) as error:
                    problem = str(error)
        finally:
            store.close()
    return site.page(
        request, "vectors.html", listed=listed, name=name, text=text, map=drawn, hits=hits, problem=problem
    )


def draw(ids: list[str], texts: list[str], rows: object) -> Map | None:
    """Rows by their two main directions (PCA); None where there are too few."""
    import numpy as np

    rows_RD = np.asarray(rows, dtype=np.float64)
    if len(ids) < 3:
        return None
    rows_RD = rows_RD - rows_RD.mean(axis=0)
    _, spread, directions = np.linalg.svd(rows_RD, full_matrices=False)
    places_R2 = rows_RD @ directions[:2].T
    signs = np.sign(directions[np.arange(2), np.abs(directions[:2]).argmax(axis=1)])  # the same map every time
    places_R2 = places_R2 * signs
    low, high = places_R2.min(axis=0), places_R2.max(axis=0)
    scaled_R2 = (places_R2 - low) / np.where(high > low, high - low, 1.0)
    dots = tuple(
        Dot(i, t, round(_EDGE + x * (_WIDTH - 2 * _EDGE), 1), round(_EDGE + (1 - y) * (_HEIGHT - 2 * _EDGE), 1))
        for i, t, (x, y) in zip(ids, texts, scaled_R2.tolist(), strict=True)
    )
    return Map(dots, float((spread[:2] ** 2).sum() / max((spread**2).sum(), 1e-12)))


def _near(store: object, name: str, text: str, cache: Path) -> list[object]:
    from whyrec.embed import reopen_embedder
    from whyrec.embed.store import VectorStore

    assert isinstance(store, VectorStore)
    made_by = next(one.embedder for one in store.listed() if one.name == name)
    if made_by.startswith("openai"):
        raise UsageError("A paid server made these vectors: `whyrec search` asks it, opening a page does not.")
    found = store.search(name, text, embedder=reopen_embedder(made_by, cache=cache), k=_NEAREST)
    return [hit for hit in found if hit.similarity > _NOTHING]
