"""From a name to data: where data sets are looked for, and the options a name may carry.

A name is looked up in the data folders first (`Settings.data_folders`, first hit wins), then taken as a path. What
follows a '?' are options: `dedup`, `dedup=no`, `kcore=5`, `users=500` (the first 500), `ids=zeros` (spellings of ids
that do not count, whyrec/data/joining.py), `domain=films` (what prompts call the items: readers/domains.py),
`titles=anonymous` (items without their names: readers/anonymous.py), `longest_line=64` (in MiB) and those of the format
(`year=2019` for Yelp, column names for a table, `clock=yyyymmdd` where times could be meant in two ways). `world` and
`world:...` are generated (whyrec/data/generated/world.py), and so are `facts` and `facts:...`
(whyrec/data/generated/facts.py).

Most data sets are interactions, some are questions. `open_data` opens either, with what generated it where that is
known; `load` is for whoever needs interactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from whyrec.data import address, readers
from whyrec.data.address import named
from whyrec.data.corpus import Corpus
from whyrec.data.joining import rules_of
from whyrec.data.prepare import prepare
from whyrec.data.questions import Questions, need_corpus
from whyrec.data.readers import Reader, beside, domains, table
from whyrec.data.readers.anonymous import anonymised, titles_of
from whyrec.data.readers.files import longest_line
from whyrec.data.readers.foreign import sentences
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings, read_settings

if TYPE_CHECKING:
    from whyrec.data.generated.facts import FactWorld
    from whyrec.data.generated.world import World

_TABLE = Reader(table.NAME, table.recognise, table.read, table.OPTIONS)
_PIPELINE = ("dedup", "kcore", "users", "ids", "titles")
_ANY = ("longest_line",)
_TOLD = (domains.OPTION,)  # of interactions; changes what prompts say, not what the data are


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
    base, options = address.split(name)
    if dedup is not None:
        options["dedup"] = "yes" if dedup else "no"
    if min_events is not None:
        options["kcore"] = str(min_events)
    return need_corpus(_open(name, base, options, settings).data)


def open_data(name: str, *, settings: Settings | None = None) -> Opened:
    """Whatever has this name; arguments and errors as in `load`."""
    return _open(name, *address.split(name), settings)


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
    settings = settings or read_settings()
    given, base, options = base, *_meant(base, options, settings)
    place = locate(base, settings=settings)
    told_reader = _for_reader(place, options)
    found = address.place(place.path, beside.settled(place.path, options) if place.reader is _TABLE else options)
    told = options.get(domains.OPTION)
    about = domains.read_domain(told) if told is not None else domains.domain_of(place.path.name, place.reader.name)
    if given != base:
        full = name
    else:
        full = address.written(base if Path(base).name not in ("", "..") else str(place.path.resolve()), options)
    with (
        longest_line(_count("longest_line", options.get("longest_line", "0"))),
        sentences(place.path, place.reader.name),
    ):
        raw = place.reader.read(place.path, told_reader)
        if isinstance(raw, Questions):
            return Opened(replace(raw, name=full, source=found))
        corpus = prepare(
            raw,
            full,
            dedup=_yes(options.get("dedup"), raw.dedup),
            min_events=_count("kcore", options.get("kcore", "0")),
            users=_count("users", options.get("users", "0")),
            ids=rules_of(options.get("ids", "")),
        )
        if "titles" in options:
            corpus = anonymised(corpus, titles_of(options["titles"]))
    notes = {**corpus.notes, **({"domain": told} if told is not None else {})}
    return Opened(replace(corpus, source=found, domain=about, notes=notes))


def add(name: str, at: str, *, settings: Settings | None = None) -> Opened:
    """Give data a name, once they could be read; `open_data(name)` then opens them from any folder.

    Args:
        name: letters, digits, '_', '-' and '.'.
        at: their address, as `load` takes it.
        settings: where names are kept (`home`) and data are looked for.

    Raises:
        UsageError: the name cannot be one, or a data set in the data folders has it already, or as `load`.
    """
    settings = settings or read_settings()
    named.check(name)
    if any(place.name == name for place in places(settings)):
        raise UsageError(f"A data set in the data folders is called {name} already; take another name.")
    opened = open_data(at, settings=settings)
    if not opened.data.source:
        raise UsageError(f"{at} is generated and has a name already.")
    named.write(settings.home, named.read(settings.home) | {name: opened.data.source})
    return open_data(name, settings=settings)


def forget(name: str, *, settings: Settings | None = None) -> None:
    """Take a given name away; the data stay where they are.

    Raises:
        UnknownNameError: nobody gave this name.
    """
    settings = settings or read_settings()
    known = named.read(settings.home)
    if name not in known:
        raise UnknownNameError("name of data", name, known, hint="`whyrec data add` gives names.")
    named.write(settings.home, {one: at for one, at in known.items() if one != name})


def _meant(base: str, options: Mapping[str, str], settings: Settings) -> tuple[str, dict[str, str]]:
    """What a given name stands for, with the options on top; of all others the same."""
    known = named.read(settings.home)
    if base not in known:
        return base, dict(options)
    path, told = address.split(known[base])
    return path, {**told, **options}


def open_again(name: str, source: str, *, settings: Settings | None = None) -> Opened:
    """A data set that was opened before, perhaps from another folder.

    Args:
        name: its name then.
        source: `Corpus.source` then, "" where there was none.
        settings: as in `load`.

    Raises:
        UnknownNameError, UsageError: it is in neither place any more, or as `load`. That it is still the same is for
            the caller to check, by its digest.
    """
    if source and Path(address.split(source)[0]).exists():
        opened = _open(source, *address.split(source), settings)
        return replace(opened, data=replace(opened.data, name=name))
    return open_data(name, settings=settings)


def locate(name: str, *, settings: Settings | None = None) -> Place:
    """Find a data set's files by name (without options) and recognise their format.

    Raises:
        UnknownNameError: nothing of that name.
        UsageError: found, but in no format that is known.
    """
    settings = settings or read_settings()
    here = [folder / name for folder in settings.data_folders] + [Path(name)]
    found = [p for p in here if _exists(p)]
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
    known = ", ".join(readers.formats())
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
    settings = settings or read_settings()
    given = sorted(named.read(settings.home))
    return [*given, *(p.name for p in places(settings)), "facts", "world", "world:default", "world:easy", "world:hard"]


def _for_reader(place: Place, options: Mapping[str, str]) -> dict[str, str]:
    pipeline = () if place.reader.of_questions else _PIPELINE
    told = () if place.reader.of_questions else _TOLD
    known = (*pipeline, *told, *_ANY, *place.reader.options)
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {place.name} ({place.reader.name})", option, known)
    return {k: v for k, v in options.items() if k not in (*pipeline, *told, *_ANY)}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long or with characters that no file has
        return False


def _yes(value: str | None, default: bool) -> bool:
    if value is None:
        return default
    if value not in ("", "yes", "no"):
        raise UsageError(f"dedup is yes or no, not {value!r}.")
    return value != "no"


def _count(option: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise UsageError(f"{option} is a whole number, as in {option}=5, not {value!r}.")
    return int(value)
