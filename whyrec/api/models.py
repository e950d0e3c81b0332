"""Recommenders: trained on a data set, kept in `$WHYREC_HOME/recommenders`, asked for the next items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from graphs.cot_rec.written import item_text
from rec_models import kinds, presets, recommend
from rec_models.base import Recommender
from rec_models.checkpoint import digest
from rec_models.fit import EpochRow, FitReport
from rec_models.fit import fit as fitted
from rec_models.rank import places
from rec_models.sequential.bert4rec import BERT4Rec
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from rec_models.sequential.text_init import Method, text_rows
from whyrec.api.bars import bar
from whyrec.api.data import Data, as_data
from whyrec.api.kinds import KINDS
from whyrec.api.runs import Run
from whyrec.api.shown import cells, facts
from whyrec.data import Corpus, open_again, text
from whyrec.data.split import SplitView
from whyrec.embed import embedder_identity, open_embedder
from whyrec.errors import UnknownNameError, UsageError
from whyrec.precision import Precision
from whyrec.records import Item, Split
from whyrec.settings import Settings, read_settings

FOLDER = "recommenders"
_ITEMS = ("random", "caption", "upstream")
_CUT = 10


@dataclass(frozen=True)
class Recommendation:
    """One item for a user: which, and the model's score (comparable within one list only)."""

    item: Item
    score: float

    def __str__(self) -> str:
        return f"{self.item.title or self.item.id} ({self.score:.3f})"


class Recommendations(list[Recommendation]):
    """A list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        rows = [(place, one.item.id, one.item.title, f"{one.score:.3f}") for place, one in enumerate(self, 1)]
        return cells(("", "item", "title", "score"), rows)


class Model:
    """A trained recommender with the data it was trained on.

    Attributes:
        name: of its folder, for `open_model` and `whyrec recommend`.
        folder: where it is kept.
        report: how its fit ended; None for one that was opened or only counts.
    """

    def __init__(self, model: Recommender, data: Data, folder: Path, report: FitReport | None = None) -> None:
        self.model, self.data, self.folder, self.report = model, data, folder, report
        self.name = folder.name

    @property
    def about(self) -> Mapping[str, Any]:
        """Data, settings, seed and where its items started, by name."""
        return recommend.about(self.folder)

    def recommend(self, user_or_history: str | Sequence[str], n: int = 10, *, seen: bool = False) -> Recommendations:
        """The items to show next, the best first.

        Args:
            user_or_history: a user's id, whose whole history is then read; or ids of items, oldest first.
            n: how many.
            seen: whether items of the history may come again.

        Raises:
            UnknownNameError: no such user or item.
            UsageError: the history is empty, or there are not so many items.
        """
        corpus = self.data.corpus
        history = _history(corpus, user_or_history)
        found = recommend.best(self.model, [history], n, skip_seen=not seen)
        pairs = zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True)
        return Recommendations(Recommendation(corpus.item(item), score) for item, score in pairs)

    def evaluate(self, split: Split = "test") -> dict[str, float]:
        """NDCG@10 and Recall@10 over all users of a split and the full catalogue, seen items left out."""
        ndcg, recall = places(self.model, SplitView(self.data.corpus, split)).expected(_CUT)
        return {f"ndcg@{_CUT}": ndcg, f"recall@{_CUT}": recall}

    def _facts(self) -> dict[str, str]:
        known = self.about
        told = {"kind": known["kind"], "data": known["data"], "items start from": known["items"]}
        if known.get("report"):
            told |= {name: str(value) for name, value in known["report"].items()}
        return {**told, "folder": str(self.folder)}

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(f'{name} {value}' for name, value in self._facts().items())}>"

    def _repr_html_(self) -> str:
        return facts(self.name, self._facts())


class FitOptions(TypedDict, total=False):
    """How a recommender is trained; all may be left out.

    `items`, where the item table starts: "random" (default), "caption" (title, brand, categories), "upstream" (also the
    data set's own descriptions), a run of cot_rec.describe, one text per item, or vectors [I, D] of any width (row i is
    item i + 1). `embedder` makes texts into vectors ("lsa"; docs/providers.md), `mapping` brings them to the model's
    width (pca, truncate, random), `norm` is the length of rows that start from them (1).

    `seed` of starting weights, order and dropout (0); `epochs` at most, as the preset says where not given; `device`
    ("cpu"); `precision` ("auto", "float32", "bfloat16"). `progress`: True for a bar where somebody looks, False
    for none, or a function that is told each epoch. `settings`: folders.
    """

    items: str | Run | Sequence[str] | npt.NDArray[np.floating]
    embedder: str
    mapping: Method
    norm: float
    seed: int
    epochs: int | None
    device: str
    precision: Precision
    progress: bool | Callable[[EpochRow], None]
    settings: Settings


def fit(model: str, data: Data | Any, **how: Unpack[FitOptions]) -> Model:
    """Train a recommender on the training events, stopped by the validation split; the test split is not looked at.

    The same call again finds it finished; one that was killed goes on with the epoch after the last.

    Args:
        model: "sasrec", "bert4rec", one that only counts ("itemcf", "popularity"), or one of a plug-in.
        data: a `Data`, or whatever `load_data` opens.
        **how: see `FitOptions`.

    Raises:
        UnknownNameError: no such model, data, embedder or argument.
        UsageError: texts or vectors of another number than the items, or nothing to train on.
    """
    for name in how:
        if name not in FitOptions.__annotations__:
            raise UnknownNameError("argument of whyrec.fit", name, FitOptions.__annotations__)
    if model.lower() not in KINDS and model not in kinds.guests():
        raise UnknownNameError("recommender", model, [*KINDS, *kinds.guests()])
    kind, settings = KINDS.get(model.lower(), model), how.get("settings") or read_settings()
    opened = as_data(data, settings)
    if kind not in presets.BACKBONES:
        return _counted(kind, opened, settings, how)
    return _fitted(kind, opened, how, settings)


def _fitted(kind: str, data: Data, how: FitOptions, settings: Settings) -> Model:
    corpus, seed = data.corpus, how.get("seed", 0)
    network, preset = presets.settings(kind, corpus)
    doing = replace(
        preset,
        device=how.get("device", "cpu"),
        precision=how.get("precision") or settings.precision,
        epochs=how.get("epochs") or preset.epochs,
    )
    vectors, start = _start(how, corpus, network.width, settings)
    known = {**_of(data), "items": start, "seed": seed, "epochs": doing.epochs}
    if isinstance(network, SASRecSettings):
        made: SASRec | BERT4Rec = SASRec(corpus.n_items, network, item_vectors=vectors, seed=seed)
    else:
        made = BERT4Rec(corpus.n_items, network, item_vectors=vectors, seed=seed)
    folder = _folder(kind, data, settings, known, vectors if vectors is not None else "")
    with _teller(how.get("progress", True), doing.epochs) as told_of:
        report = fitted(made, corpus, settings=doing, seed=seed, folder=folder / "checkpoints", on_epoch=told_of)
    told = {"epochs": report.epochs, "best epoch": report.best_epoch, "validation N@10": round(report.valid_ndcg, 4)}
    recommend.save(made, folder, {**known, "report": told})
    return Model(made, data, folder, report)


def open_model(name: str | Path, *, settings: Settings | None = None) -> Model:
    """A recommender that was trained before.

    Args:
        name: its name, an unmistakable beginning of it, or its folder.
        settings: folders; read from WHYREC_* and whyrec.toml if not given.

    Raises:
        UnknownNameError: there is none.
        UsageError: its data are not what they were, or its files are damaged.
    """
    settings = settings or read_settings()
    folder = _find(str(name), settings)
    known = recommend.about(folder)
    data = Data(open_again(str(known["data"]), str(known["source"]), settings=settings))
    if data.digest != known["digest"]:
        raise UsageError(
            f"{known['data']} is not what it was when {folder.name} was trained (its digest is {data.digest}, then "
            f"{known['digest']}): item numbers may mean other items. Train it again."
        )
    return Model(recommend.load(folder, SplitView(data.corpus, "valid")), data, folder)


def model_names(settings: Settings) -> list[str]:
    """Names of all recommenders that are kept, sorted."""
    return sorted(path.parent.name for path in (settings.home / FOLDER).glob(f"*/{recommend.ABOUT}"))


def _find(name: str, settings: Settings) -> Path:
    path = Path(name).expanduser()
    if (path / recommend.ABOUT).is_file():
        return path
    known = model_names(settings)
    like = [name] if name in known else [one for one in known if one.startswith(name)] if name else []
    if len(like) == 1:
        return settings.home / FOLDER / like[0]
    if like:
        raise UsageError(f"Several recommenders begin with {name!r}: {', '.join(like)}.")
    raise UnknownNameError("recommender", name, known, hint="`whyrec fit MODEL --data …` trains one.")


_COUNTS = {"ItemCF": "what users bought together", "Popularity": "how often each was met"}


def _counted(kind: str, data: Data, settings: Settings, how: FitOptions) -> Model:
    """One that only counts, or one of a plug-in, which is told the seed and nothing else."""
    known = {**_of(data), "items": _COUNTS.get(kind, "what the plug-in makes of them")}
    seed = how.get("seed", 0)
    if kind not in kinds.COUNTED:
        known |= {"kind": kind, "plugin": kinds.digest_of(kind), "seed": seed}
    folder = _folder(kind, data, settings, known, "")
    made = kinds.maker(kind)(SplitView(data.corpus, "valid"), seed)
    recommend.save(made, folder, known)
    return Model(made, data, folder)


def _of(data: Data) -> dict[str, Any]:
    return {"data": data.name, "source": data.corpus.source, "digest": data.digest}


def _folder(kind: str, data: Data, settings: Settings, known: Mapping[str, Any], vectors: Any) -> Path:
    named = "".join(
        c if c.isascii() and (c.isalnum() or c == "-") else "_" for c in Path(data.name.partition("?")[0]).name
    )
    content = digest(kind, sorted((k, v) for k, v in known.items() if k not in ("data", "source")), vectors)
    return settings.home / FOLDER / f"{kind.lower()}-{named[:40]}-{content[:8]}"


def _start(
    how: FitOptions, corpus: Corpus, width: int, settings: Settings
) -> tuple[npt.NDArray[np.float32] | None, str]:
    """(rows the item table starts from, None for random ones; how they came about)."""
    items, embedder = how.get("items", "random"), how.get("embedder", "lsa")
    mapping, norm = how.get("mapping", "pca"), how.get("norm", 1.0)
    if isinstance(items, str) and items == "random":
        return None, "random"
    vectors = np.asarray(items, dtype=np.float32) if isinstance(items, np.ndarray) else None
    texts, told = _texts(items, corpus) if vectors is None else (["given"] * len(vectors), "given vectors")
    if len(texts) != corpus.n_items or (vectors is not None and vectors.ndim != 2):
        raise UsageError(f"{corpus.name} has {corpus.n_items:,} items; {len(texts):,} texts or vectors were given.")
    if vectors is None:
        vectors = open_embedder(embedder, fit_on=texts, cache=settings.home / "embedders").embed(texts)
        told = f"{told} by {embedder_identity(embedder)}, {mapping}, norm {norm:g}"
    return text_rows(vectors, texts, width, method=mapping, norm=norm, fit_on=vectors), told


def _texts(items: Any, corpus: Corpus) -> tuple[list[str], str]:
    captions = text.captions(corpus)
    if items == "caption":
        return list(captions), "captions"
    if items == "upstream":
        return list(text.descriptions(corpus)), "captions and the data's descriptions"
    if isinstance(items, Run):
        return _described(items, captions, corpus), f"captions and {items.id}"
    if isinstance(items, str):
        raise UnknownNameError("start of the items", items, _ITEMS, hint="A run of cot_rec.describe is given as a Run.")
    return [str(one) for one in items], "given texts"


def _described(run: Run, captions: Sequence[str], corpus: Corpus) -> list[str]:
    """Captions, and what a run says of the items it has done.

    Raises:
        UsageError: the run is of another graph, or of other data.
    """
    if run.info["graph"] != "cot_rec.describe":
        raise UsageError(f"{run.id} is a run of {run.info['graph']}; items start from a run of cot_rec.describe.")
    if run.info["data_digest"] != corpus.digest:
        raise UsageError(f"{run.id} describes items of {run.info['data']}, which are not those of {corpus.name}.")
    texts = list(captions)
    for result in run.results:
        if result.payload is not None:
            place = int(result.payload["index"]) - 1
            texts[place] = item_text(texts[place], result.payload)
    return texts


def _history(corpus: Corpus, wanted: str | Sequence[str]) -> npt.NDArray[np.int64]:
    if isinstance(wanted, str):
        if wanted not in corpus.user_index:
            raise UnknownNameError("user", wanted, corpus.user_ids.head(_CUT).to_list(), hint="These are some of them.")
        at = corpus.user_index[wanted]
        found = corpus.items[corpus.offsets[at] : corpus.offsets[at + 1]]
        if not len(found):
            raise UsageError(f"The user {wanted} has no history.")
        return found.astype(np.int64)
    ids = corpus.catalogue["id"].to_list()
    index = {one: number for number, one in enumerate(ids, 1)}
    if missing := [str(one) for one in wanted if str(one) not in index]:
        raise UnknownNameError("item", missing[0], ids[:_CUT], hint="These are some of them.")
    if not wanted:
        raise UsageError("The history is empty; give at least one item, or a user's id.")
    return np.array([index[str(one)] for one in wanted], dtype=np.int64)


@contextmanager
def _teller(wanted: bool | Callable[[EpochRow], None], epochs: int) -> Iterator[Callable[[EpochRow], None] | None]:
    """Who is told of each epoch, while it is open."""
    if callable(wanted):
        yield wanted
        return
    with bar(wanted) as tell:
        if tell is None:
            yield None
            return

        def show(row: EpochRow) -> None:
            found = "" if row.valid_ndcg is None else f", validation N@10 {row.valid_ndcg:.4f}"
            tell(f"epochs at most, loss {row.loss:.3f}{found}", row.epoch, epochs)

        yield show
