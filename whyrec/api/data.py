"""Data sets for the library: by name, from files, or from tables in memory."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
from typing_extensions import Unpack

from whyrec.api.shown import cells, facts
from whyrec.data import Corpus, Opened, Questions, address, open_data
from whyrec.data.joining import need_joined
from whyrec.data.joining import warnings as said_of
from whyrec.data.questions import need_corpus
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError, UsageError
from whyrec.records import Event
from whyrec.settings import Settings, read_settings
from whyrec.sqlite import make_folder

FRAMES = "frames"  # folder in the home that tables from memory are kept in
_SHOWN = 5


class Columns(TypedDict, total=False):
    """What the columns of a table are called, and how it is read (docs/library.md).

    `user` and `item` are needed for a table; `time`, `position`, `rating` and `review` belong to the event; `title`,
    `description`, `brand` and `categories` to the item. `items` is a file (or a table in memory) of the items and
    `items_id` its column of ids. `clock` says how numbers are times. `dedup` keeps the first event of each user and
    item, `kcore` drops users and items with fewer events, `titles="anonymous"` hides the items' names, `domain` says
    what prompts call the items.
    """

    user: str
    item: str
    time: str
    position: str
    rating: str
    review: str
    title: str
    description: str
    brand: str
    categories: str
    items: Any
    items_id: str
    clock: str
    dedup: bool
    kcore: int
    titles: str
    domain: str


class DataWarning(UserWarning):
    """Events and items of a data set can be read and do not fit each other in all of their ids."""


class Data:
    """A data set: interactions of users with items, or questions.

    Attributes:
        opened: what the graphs work on.
    """

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @property
    def name(self) -> str:
        """What it was opened as; `load_data` of it gives the same."""
        return self.opened.data.name

    @property
    def digest(self) -> str:
        """Of the content: the same wherever the files lie."""
        return self.opened.data.digest

    @property
    def corpus(self) -> Corpus:
        """The interactions in columns.

        Raises:
            UsageError: it holds questions.
        """
        return need_corpus(self.opened.data)

    @property
    def users(self) -> list[str]:
        """Ids of all users, as they stand in the file."""
        return self.corpus.user_ids.to_list()

    @property
    def items(self) -> pl.DataFrame:
        """One row per item: index (from 1), id, title, description, brand, categories."""
        corpus = self.corpus
        rows = [(i, (item := corpus.item(i)).id, item.title, item.description, item.brand, list(item.categories))
                for i in range(1, corpus.n_items + 1)]  # fmt: skip
        names = ["index", "id", "title", "description", "brand", "categories"]
        return pl.DataFrame(rows, schema=names, orient="row")

    def history(self, user: str, *, split: str = "test") -> tuple[Event, ...]:
        """What may be shown of a user when this split's target is to be predicted, oldest first.

        Raises:
            UnknownNameError: there is no such user.
            UsageError: there is no such split.
        """
        corpus = self.corpus
        if split not in ("train", "valid", "test"):
            raise UsageError(f"There is no split {split!r}. Splits are train, valid and test.")
        if user not in corpus.user_index:
            raise UnknownNameError("user", user, corpus.user_ids.head(_SHOWN).to_list(), hint="These are some of them.")
        return SplitView(corpus, split).example(corpus.user_index[user]).history  # type: ignore[arg-type]

    def _facts(self) -> dict[str, str]:
        data = self.opened.data
        if isinstance(data, Questions):
            return {"questions": f"{len(data):,}", "digest": data.digest}
        return {
            "users": f"{data.n_users:,}",
            "items": f"{data.n_items:,}",
            "interactions": f"{data.n_interactions:,}",
            "digest": data.digest,
        }

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(f'{name} {value}' for name, value in self._facts().items())}>"

    def _repr_html_(self) -> str:
        place, told, _options = self.name.partition("?")
        opened_as = {"opened as": self.name} if told else {}
        shown = facts(Path(place).name if told else self.name, {**self._facts(), **opened_as})
        if isinstance(self.opened.data, Questions):
            return shown
        corpus = self.opened.data
        some = [corpus.item(i) for i in range(1, min(_SHOWN, corpus.n_items) + 1)]
        columns = {
            "item": [item.id for item in some],
            "title": [item.title for item in some],
            "brand": [item.brand for item in some],
            "categories": [", ".join(item.categories) for item in some],
        }
        known = {name: values for name, values in columns.items() if any(values)}
        return shown + cells(tuple(known), zip(*known.values(), strict=True))


def load_data(source: Any, *, settings: Settings | None = None, **columns: Unpack[Columns]) -> Data:
    """Open a data set.

    Args:
        source: a name (`whyrec data ls`), a folder or file, "world" or "facts" (generated), each also with options
            after a '?'; or a table of events in memory (polars or pandas), which is kept as a Parquet file in
            `$WHYREC_HOME/frames`, so that runs of it can be gone on with.
        settings: folders; read from WHYREC_* and whyrec.toml if not given.
        **columns: see `Columns`.

    Raises:
        UnknownNameError: no such data set or option; lists the known ones.
        UsageError: a file is not usable (names file and line), or the ids of events and items do not match.

    Warns:
        DataWarning: items that events name are not among the items, or the other way round.
    """
    settings = settings or read_settings()
    options = {
        name: _text(name, value, settings)
        for name, value in columns.items()
        if value is not None and value is not False
    }
    if not isinstance(source, str | Path):
        source = keep_frame(source, settings.home)
    name = str(source)
    if options:
        base, told = address.split(name)
        name = address.written(base, told | options)
    opened = open_data(name, settings=settings)
    if isinstance(opened.data, Corpus):
        need_joined(opened.data)
        for sentence in said_of(opened.data):
            warnings.warn(sentence, DataWarning, stacklevel=2)
    return Data(opened)


def as_data(source: Data | Any, settings: Settings) -> Data:
    """`load_data` of what is not yet a `Data`."""
    return source if isinstance(source, Data) else load_data(source, settings=settings)


def keep_frame(frame: Any, home: Path) -> Path:
    """The Parquet file that keeps a table from memory, named by its content.

    Raises:
        UsageError: it is no table of polars or pandas.
    """
    written = io.BytesIO()
    _polars(frame).write_parquet(written)
    path = home / FRAMES / f"{hashlib.sha256(written.getvalue()).hexdigest()[:16]}.parquet"
    if not path.exists():
        make_folder(path.parent)
        draft = path.with_suffix(".part")
        draft.write_bytes(written.getvalue())
        draft.replace(path)
    return path


def _polars(frame: Any) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    if hasattr(frame, "columns") and hasattr(frame, "iloc"):  # pandas, without needing pyarrow
        return pl.DataFrame({str(name): frame[name].tolist() for name in frame.columns}, strict=False)
    raise UsageError(
        f"Data are a name, a path, or a table of polars or pandas, not a {type(frame).__name__}. "
        "`whyrec data ls` lists names."
    )


def _text(name: str, value: Any, settings: Settings) -> str:
    if name == "items" and not isinstance(value, str | Path):
        return str(keep_frame(value, settings.home))
    return "" if value is True else str(value)
