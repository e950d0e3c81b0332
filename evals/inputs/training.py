"""Cells that train: a recommender whose tables start at random or from texts, fitted, and ranked on both splits.

What a row of CoT-Rec's Table 1 varies is only where the item table and the user table start (paper 4.2.2, "Encode &
Map"); everything else is equal in all rows of a backbone. A table started from texts differs from a random one in two
things, what its rows say and how long they are (spec 2.b), so there is a control: random rows of the text rows' norms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from evals.artefacts import Source, Texts
from evals.doubts import of_texts
from evals.experiment import CellFunction, Context, Told
from evals.registry import EncodeAndMap
from rec_models.base import Recommender, SequenceModel
from rec_models.collaborative.itemcf import ItemCF
from rec_models.collaborative.popularity import Popularity
from rec_models.fit import EpochRow, FitReport, FitSettings, fit
from rec_models.kinds import maker
from rec_models.rank import rank
from rec_models.sequential.bert4rec import BERT4Rec, BERT4RecSettings
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from rec_models.sequential.tables import UserToken
from rec_models.sequential.text_init import norm_matched, text_rows
from whyrec.data.some import HowMany, only
from whyrec.data.split import SplitView
from whyrec.embed import Vectors, embedder_identity, open_embedder

Backbone: TypeAlias = Literal["SASRec", "BERT4Rec"]
NetworkSettings: TypeAlias = SASRecSettings | BERT4RecSettings
Start: TypeAlias = Source | Literal["none", "random", "matched"]


@dataclass(frozen=True)
class Training:
    """Everything about one trained cell.

    Attributes:
        backbone: "SASRec" or "BERT4Rec".
        network: settings of the model, without the user token.
        fit: settings of the fit; where and in which precision it computes is said by the context.
        items: where the item table starts: "random", texts, or "matched" (random rows with the norms of captions).
        users: the user token: "none", "random", texts, or "matched" (random rows of the texts' norm).
        how: Encode & Map.
        mask_seen: whether items of the history are left out of the ranking.
        anothers: every user starts from the text of the user before, as a placebo.
    """

    backbone: Backbone
    network: NetworkSettings
    fit: FitSettings
    items: Start = "random"
    users: Start = "none"
    how: EncodeAndMap = field(default_factory=EncodeAndMap)
    mask_seen: bool = True
    anothers: bool = False

    @property
    def needs(self) -> tuple[Source, ...]:
        """Texts it reads; the controls need captions for their norms."""
        sources = [s for s in (self.items, self.users) if isinstance(s, Source)]
        if "matched" in (self.items, self.users) or isinstance(self.users, Source):
            sources.append(self.basis)
        return tuple(dict.fromkeys(sources))

    @property
    def basis(self) -> Source:
        """Texts the embedder and the map are fitted on: the items' own where the cell has them, else captions."""
        return self.items if isinstance(self.items, Source) else Source("caption")

    @property
    def settings(self) -> dict[str, Any]:
        """What can change the outcomes, JSON-able."""
        return {
            "backbone": self.backbone,
            "network": asdict(self.network),
            "fit": self.fit.recipe,
            "items": str(self.items),
            "users": f"another user's {self.users}" if self.anothers else str(self.users),
            "encode and map": _content(self.how if self.needs else EncodeAndMap()),  # without texts it changes nothing
            "mask_seen": self.mask_seen,
        }


def _content(how: EncodeAndMap) -> dict[str, Any]:
    """Its fields, with what is in an embedder's weights instead of where they lie."""
    return {**asdict(how), "embedder": embedder_identity(how.embedder)}


def trained(training: Training, *, cache: Path | None = None) -> CellFunction:
    """The cell that trains this.

    Args:
        training: what.
        cache: folder for fitted embedders.
    """

    def cell(context: Context, seed: int) -> Told:
        return train(training, context, seed, cache=cache)

    return cell


def train(training: Training, context: Context, seed: int, *, cache: Path | None = None) -> Told:
    """Fit on the training sequences, stop on validation, rank both splits.

    An interrupted fit goes on from the checkpoints in `context.folder`.
    """
    items, users, note = starting_tables(training, context, seed, cache=cache)
    model = _model(training, context, seed, items=items, users=users)
    settings = replace(training.fit, device=context.device, precision=context.precision)
    report = fit(
        model, context.corpus, settings=settings, seed=seed, folder=context.folder, on_epoch=_teller(context, settings)
    )
    told = ranked(model, context, mask_seen=training.mask_seen, about={**_about(report), **note})
    return replace(told, doubts=_doubts(training, context))


def _doubts(training: Training, context: Context) -> tuple[str, ...]:
    """Why what its tables start from tells nobody from another: texts that are all alike or all empty."""
    starts = {"item's text": training.items, "preference": training.users}
    return tuple(
        why
        for what, start in starts.items()
        if isinstance(start, Source)
        for why in of_texts(context.artefacts.texts(start).texts, what)
    )


def ranked(model: Recommender, context: Context, *, mask_seen: bool, about: dict[str, Any] | None = None) -> Told:
    """Rankings of the full catalogue on the test split, and on the validation split marked as such."""
    test, valid = (
        rank(model, SplitView(context.corpus, split), mask_seen=mask_seen, top=0) for split in ("test", "valid")
    )
    return Told(test, valid, about or {})


def popularity(*, mask_seen: bool = True) -> CellFunction:
    """The cell of the most popular items."""
    return lambda context, _seed: ranked(Popularity(SplitView(context.corpus, "valid")), context, mask_seen=mask_seen)


def item_cf(*, mask_seen: bool = True) -> CellFunction:
    """The cell of item-based collaborative filtering."""
    return lambda context, _seed: ranked(ItemCF(SplitView(context.corpus, "valid")), context, mask_seen=mask_seen)


def of_plugin(name: str, *, mask_seen: bool = True) -> CellFunction:
    """The cell of a recommender that a plug-in declares, made with the seed of the cell."""
    make = maker(name)
    return lambda context, seed: ranked(make(SplitView(context.corpus, "valid"), seed), context, mask_seen=mask_seen)


def over_some(function: CellFunction, users: HowMany) -> CellFunction:
    """The same cell, measured over those users alone; it trains on everybody, and validation is everybody's."""
    if users is None:
        return function

    def cell(context: Context, seed: int) -> Told:
        told = function(context, seed)
        return replace(told, test=only(told.test, SplitView(context.corpus, "test").users, users))

    return cell


def starting_tables(
    training: Training, context: Context, seed: int, *, cache: Path | None = None
) -> tuple[Vectors | None, Vectors | None, dict[str, Any]]:
    """(item rows float32[I, D] or None, user rows float32[U, D] or None, note of who has no text).

    A user or item without a text starts from the mean row of the others.
    """
    width = training.network.width
    note: dict[str, Any] = {}
    items: Vectors | None = None
    users: Vectors | None = None
    if training.needs:
        basis = context.artefacts.texts(training.basis)
        embedder = open_embedder(training.how.embedder, fit_on=basis.texts, cache=cache)
        note["embedder"] = embedder.name
        vectors = embedder.embed(basis.texts)
        mapped = partial(_rows, how=training.how, width=width, fit_on=vectors)
        if training.items == "matched":
            items = norm_matched(mapped(vectors, basis), seed=seed)
        elif isinstance(training.items, Source):
            items = mapped(vectors, basis)
            note["items without a text"] = len(basis.failed)
        if training.users == "matched":
            users = norm_matched(_rows_of_norm(context.corpus.n_users, width, training.how.norm), seed=seed)
        elif isinstance(training.users, Source):
            preferences = context.artefacts.texts(training.users)
            users = mapped(embedder.embed(preferences.texts), preferences)
            users = np.roll(users, 1, axis=0) if training.anothers else users
            note["users without a preference"] = len(preferences.failed)
    return items, users, note


def _rows(vectors: Vectors, texts: Texts, *, how: EncodeAndMap, width: int, fit_on: Vectors) -> Vectors:
    return text_rows(vectors, texts.texts, width, method=how.method, norm=how.norm, fit_on=fit_on)


def _rows_of_norm(count: int, width: int, norm: float) -> Vectors:
    return np.full((count, width), norm / width**0.5, dtype=np.float32)


def _model(
    training: Training, context: Context, seed: int, *, items: Vectors | None, users: Vectors | None
) -> SequenceModel:
    token: UserToken = "none" if training.users == "none" else "random" if users is None else "given"
    corpus = context.corpus
    given: dict[str, Any] = {"item_vectors": items, "user_vectors": users, "n_users": corpus.n_users, "seed": seed}
    if isinstance(training.network, SASRecSettings):
        return SASRec(corpus.n_items, replace(training.network, user_token=token), **given)
    return BERT4Rec(corpus.n_items, replace(training.network, user_token=token), **given)


def _about(report: FitReport) -> dict[str, Any]:
    return {
        "epochs": report.epochs,
        "best epoch": report.best_epoch,
        "fit seconds": round(report.seconds, 2),
        "precision": report.precision,
    }


def _teller(context: Context, settings: FitSettings) -> Callable[[EpochRow], None]:
    def tell(row: EpochRow) -> None:
        found = "" if row.valid_ndcg is None else f", validation N@10 {row.valid_ndcg:.4f}"
        context.say(f"epoch {row.epoch} of at most {settings.epochs}, loss {row.loss:.3f}{found}")

    return tell
