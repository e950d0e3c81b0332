"""From a name to data: where data sets are looked for, and the options a name may carry.

A name is looked up in the data folders first (`Settings.data_folders`, first hit wins), then taken as a path. What
follows a '?' are options: `dedup`, `dedup=no`, `kcore=5`, `users=500` (the first 500), and those of the format
(`year=2019` for Yelp, column names for a table). `world` and `world:...` are generated
(whyrec/data/generated/world.py), and so are `facts` and `facts:...` (whyrec/data/generated/facts.py).

Most data sets are interactions, some are questions. `open_data` opens either, with what generated it where that is
known; `load` is for whoever needs interactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from whyrec.data import readers
from whyrec.data.corpus import Corpus
from whyrec.data.prepare import prepare
from whyrec.data.questions import Questions, need_corpus
from whyrec.data.readers import Reader, table
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings, read_settings

if TYPE_CHECKING:
    from whyrec.data.generated.facts import FactWorld
    from whyrec.data.generated.world import World

_TABLE = Reader(table.NAME, table.recognise, table.read, table.OPTIONS)
_PIPELINE = ("dedup", "kcore", "users")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data set lies and who can read it."""

    name: str
    path: Path
    reader: Reader


@dataclass(frozen=True, slots=True)
class Opened:
    """A data set.

    Attributes:
        data: interactions or questions.
        world: the truth it was generated from, None for all other data.
    """

    data: Corpus | Questions
    world: World | FactWorld | None = None


def load(
    name: str, *, settings: Settings | None = None, min_events: int | None = None, dedup: bool | None = None
) -> Corpus:
    """The interactions of this name.

    Args:
        name: folder in a data folder, path, or "world[:...]", with options after '?'.
        settings: where to look; read from the environment if not given.
        min_events: k-core over users and items; as `?kcore=`.
        dedup: keep the first event of each user and item; as `?dedup`. Default: as it is in the file (MIND: yes).

    Raises:
        UnknownNameError: no such data set or option; lists the known ones.
        UsageError: the files are not usable (names file and line), or hold questions.
    """
    base, options = _split(name)
    if dedup is not None:
        options["dedup"] = "yes" if dedup else "no"
    if min_events is not None:
        options["kcore"] = str(min_events)
    return need_corpus(_open(name, base, options, settings).data)


def open_data(name: str, *, settings: Settings | None = None) -> Opened:
    """Whatever has this name; arguments and errors as in `load`."""
    return _open(name, *_split(name), settings)


def _open(name: str, base: str, options: dict[str, str], settings: Settings | None) -> Opened:
    kind = base.partition(":")[0]
    if kind in ("world", "facts"):
        if options:
            raise UsageError(f"{name!r}: generated data takes its options after the colon, as in world:users=500.")
        if kind == "facts":
            from whyrec.data.generated import facts

            known = facts.load(base)
            return Opened(known.questions, known)
        from whyrec.data.generated import world

        made = world.load(base)
        return Opened(made.corpus, made)
    place = locate(base, settings=settings)
    raw = place.reader.read(place.path, _for_reader(place, options))
    full = base + ("?" + "&".join(f"{k}={v}" if v else k for k, v in sorted(options.items())) if options else "")
    if isinstance(raw, Questions):
        return Opened(replace(raw, name=full))
    return Opened(
        prepare(
            raw,
            full,
            dedup=_yes(options.get("dedup"), raw.dedup),
            min_events=_count("kcore", options.get("kcore", "0")),
            users=_count("users", options.get("users", "0")),
        )
    )


def locate(name: str, *, settings: Settings | None = None) -> Place:
    """Find a data set's files by name (without options) and recognise their format.

    Raises:
        UnknownNameError: nothing of that name.
        UsageError: found, but in no format that is known.
    """
    settings = settings or read_settings()
    here = [folder / name for folder in settings.data_folders] + [Path(name)]
    found = [p for p in here if p.exists()]
    if not found:
        folders = ", ".join(str(f) for f in settings.data_folders)
        raise UnknownNameError(
            "data set",
            name,
            names(settings),
            hint=f"Looked in {folders}. Set WHYREC_DATA to your data folder, or see `whyrec data get --help`.",
        )
    for path in found:
        if reader := readers.find(path) or (_TABLE if path.is_file() and _TABLE.recognise(path) else None):
            return Place(name, path, reader)
    known = ", ".join(r.name for r in readers.READERS)
    raise UsageError(
        f"{found[0]} is there, but its files are in no format that is known ({known}, or a CSV or Parquet file)."
    )


def places(settings: Settings | None = None) -> list[Place]:
    """Every data set found in the data folders, by name; looks at file names only."""
    settings = settings or read_settings()
    found: dict[str, Place] = {}
    for folder in settings.data_folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.is_dir() and path.name not in found and (reader := readers.find(path)):
                found[path.name] = Place(path.name, path, reader)
    return [found[name] for name in sorted(found)]


def names(settings: Settings | None = None) -> list[str]:
    """Names that `open_data` knows: what the data folders hold, and what is generated."""
    return [*(p.name for p in places(settings)), "facts", "world", "world:default", "world:easy", "world:hard"]


def _split(name: str) -> tuple[str, dict[str, str]]:
    base, mark, query = name.partition("?")
    if not base.strip():
        raise UsageError(f"{name!r} names no data set. Give a folder, a path or world (`whyrec data ls` lists them).")
    if not mark:
        return base, {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=False)
    except ValueError:
        pairs = []
    if not pairs or len(dict(pairs)) < len(pairs):
        raise UsageError(f"{name!r}: after '?' come options such as dedup&kcore=5, each once.")
    return base, dict(pairs)


def _for_reader(place: Place, options: Mapping[str, str]) -> dict[str, str]:
    known = place.reader.options if place.reader.of_questions else (*_PIPELINE, *place.reader.options)
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {place.name} ({place.reader.name})", option, known)
    return {k: v for k, v in options.items() if k not in _PIPELINE}


def _yes(value: str | None, default: bool) -> bool:
    if value is None:
        return default
    if value not in ("", "yes", "no"):
        raise UsageError(f"dedup is yes or no, not {value!r}.")
    return value != "no"


def _count(option: str, value: str) -> int:
    if not value.isdecimal():
        raise UsageError(f"{option} is a whole number, as in {option}=5, not {value!r}.")
    return int(value)
