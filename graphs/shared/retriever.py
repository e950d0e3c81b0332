"""The first stage of a two-stage recommender: the best items of the catalogue for every user of a split, best first.

Item-CF and SASRec (with the preset) are trained on what parameters may be trained on, `SplitView.sequences()`, which is
s[:-2] for every split; items of the history shown are left out. `sasrec_texts` is the same SASRec with a token of the
user in front, both tables started from texts (CoT-Rec's CRM++); texts of users may be made of s[:-2] alone. The lists
are made once, kept in `$WHYREC_HOME/retrieved` under a digest of everything they follow from, and read from there by
whoever comes next; a killed fit of SASRec goes on from its checkpoint. `frozen` stands for a retriever that always
hits: the 1 + N frozen candidates, the target unmarked among them, in an order that means nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from graphs.workflow import Source
from whyrec.data.candidates import frozen
from whyrec.data.split import SplitView
from whyrec.embed import embedder_identity, open_embedder
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rec_models.base import Recommender

Name: TypeAlias = Literal["item_cf", "sasrec", "sasrec_texts", "frozen"]
_GENERATION = 1  # raised when the lists of a name change although its settings do not


@dataclass(frozen=True)
class TableTexts:
    """What tables start from (Encode & Map).

    Attributes:
        name: what the texts follow from: equal names, equal texts.
        embedder: of both, as `whyrec.embed.open_embedder` names it; lsa is fitted on the items' texts.
        read: (a text per item 1..I, a text per user 0..U-1), the latter made of s[:-2]; "" starts as the mean of the
            others. Called only where something has to be trained.
    """

    name: str
    embedder: str
    read: Callable[[], tuple[Sequence[str], Sequence[str]]]


@dataclass(frozen=True, eq=False)
class Retriever:
    """What was retrieved.

    Attributes:
        name: by which recommender.
        view: for whom, and from which histories.
        items: int32[U, n], best first, in the order of `view.users`.
    """

    name: str
    view: SplitView
    items: npt.NDArray[np.int32]

    def of(self, user: int) -> npt.NDArray[np.int32]:
        """The items of one user (dense index), best first."""
        row = int(np.searchsorted(self.view.users, user))
        assert self.view.users[row] == user
        found: npt.NDArray[np.int32] = self.items[row]
        return found

    @cached_property
    def hits(self) -> npt.NDArray[np.bool_]:
        """Whose target was retrieved, bool[U]. This looks at the targets: for evaluation, never for a prompt."""
        return np.asarray((self.items == self.view.targets[:, None]).any(axis=1))


def retriever(
    source: Source, view: SplitView, *, name: Name, n: int, seed: int, texts: TableTexts | None = None
) -> Retriever:
    """The lists of a recommender, made the first time.

    Args:
        source: the data, and where lists are kept.
        view: for whom.
        name: "item_cf", "sasrec", "sasrec_texts" or "frozen".
        n: items per user.
        seed: of SASRec's weights and batches, or of the frozen draw.
        texts: what the tables of "sasrec_texts" start from.

    Raises:
        UsageError: the catalogue has fewer than n items.
    """
    if name == "frozen":
        return Retriever(name, view, frozen(view, n - 1, seed, folder=source.home / "candidates").items)
    if view.corpus.n_items < n:
        raise UsageError(f"{n} items are to be retrieved from a catalogue of {view.corpus.n_items}. Ask for fewer.")
    if name == "sasrec_texts":
        assert texts is not None
        digest, make = sasrec_texts(source, view, seed, texts)
    else:
        digest, make = {"item_cf": item_cf, "sasrec": sasrec}[name](source, view, seed)
    folder = source.home / "retrieved"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{view.split}-{n}-{digest}.npy"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            model, precision = make()
            path.with_suffix(".json").write_text(json.dumps({"precision": precision}), encoding="utf-8")
            _write(path, _lists(model, view, n))
    note = path.with_suffix(".json")
    if note.exists() and (precision := json.loads(note.read_text(encoding="utf-8"))["precision"]):
        source.trained[name] = str(precision)
    return Retriever(name, view, np.load(path))


_Maker: TypeAlias = Callable[[], tuple["Recommender", str]]
"""A recommender, and the precision it was trained in ("" where nothing is)."""


def item_cf(source: Source, view: SplitView, seed: int) -> tuple[str, _Maker]:
    """Item-CF over the training events; it has no settings and no seed."""
    from rec_models.checkpoint import digest
    from rec_models.collaborative.itemcf import ItemCF

    return digest(_GENERATION, view.corpus.digest), lambda: (ItemCF(SplitView(view.corpus, "valid")), "")


def sasrec(source: Source, view: SplitView, seed: int) -> tuple[str, _Maker]:
    """SASRec with random tables and the settings chosen for all data sets, stopped on validation NDCG@10."""
    from rec_models import presets
    from rec_models.checkpoint import digest
    from rec_models.fit import fit
    from rec_models.sequential.sasrec import SASRec, SASRecSettings

    network, how = presets.settings("SASRec", view.corpus)
    assert isinstance(network, SASRecSettings)
    identity = digest(_GENERATION, view.corpus.digest, asdict(network), how.recipe, seed)

    def made() -> tuple[SASRec, str]:
        model = SASRec(view.corpus.n_items, network, seed=seed)
        folder = source.home / "retrieved" / f"sasrec-{identity}"
        with FileLock(folder.with_suffix(".lock")):
            report = fit(
                model, view.corpus, settings=replace(how, precision=source.precision), seed=seed, folder=folder
            )
        return model, report.precision

    return identity, made


def sasrec_texts(source: Source, view: SplitView, seed: int, texts: TableTexts) -> tuple[str, _Maker]:
    """The same with a token of the user in front, both tables started from texts: the cell Preference, Description of
    CoT-Rec's Table 1, with that table's defaults (principal components of the items' vectors, rows of length 1).
    """
    from rec_models import presets
    from rec_models.checkpoint import digest
    from rec_models.fit import fit
    from rec_models.sequential.sasrec import SASRec, SASRecSettings
    from rec_models.sequential.text_init import text_rows

    plain, how = presets.settings("SASRec", view.corpus)
    assert isinstance(plain, SASRecSettings)
    network = replace(plain, user_token="given")
    by = embedder_identity(texts.embedder)
    identity = digest(_GENERATION, view.corpus.digest, asdict(network), how.recipe, seed, texts.name, by)

    def made() -> tuple[SASRec, str]:
        items, users = texts.read()
        embedder = open_embedder(texts.embedder, fit_on=items, cache=source.home / "embedders")
        vectors = embedder.embed(items)
        start = partial(text_rows, width=network.width, method="pca", norm=1.0, fit_on=vectors)
        rows, token = start(vectors, items), start(embedder.embed(users), users)
        model = SASRec(view.corpus.n_items, network, item_vectors=rows, user_vectors=token, seed=seed)
        folder = source.home / "retrieved" / f"sasrec_texts-{identity}"
        with FileLock(folder.with_suffix(".lock")):
            report = fit(
                model, view.corpus, settings=replace(how, precision=source.precision), seed=seed, folder=folder
            )
        return model, report.precision

    return identity, made


def _lists(model: Recommender, view: SplitView, n: int) -> npt.NDArray[np.int32]:
    from rec_models.rank import places

    return places(model, view, top=n).items.astype(np.int32)


def counted(source: Source, view: SplitView, n: int) -> npt.NDArray[np.int32]:
    """Item-CF's lists made anew, for whoever checks those that are kept."""
    return _lists(item_cf(source, view, 0)[1]()[0], view, n)


def _write(path: Path, items: npt.NDArray[np.int32]) -> None:
    """Write beside and rename, so that the file is whole or absent."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as stream:
        np.save(stream, items)
    beside.replace(path)
