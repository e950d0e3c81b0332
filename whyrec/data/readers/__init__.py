"""One module per file format people download. `find` knows a folder's format by the names of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from whyrec import plugins
from whyrec.data.questions import Questions
from whyrec.data.raw import Raw
from whyrec.data.readers import amazon, bookcrossing, hotpotqa, interactions, mind, movielens, yelp


@dataclass(frozen=True, slots=True)
class Reader:
    """A format.

    Attributes:
        name: shown by `whyrec data ls`.
        recognise: whether a folder (or file) holds this format; looks at names only.
        read: reads it, given the options of the data set's name: rows still to be prepared, or questions.
        options: the options `read` knows.
        of_questions: whether it holds questions, which are not prepared any further.
    """

    plugin_kind: ClassVar[plugins.Kind] = "readers"
    name: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, Mapping[str, str]], Raw | Questions]
    options: tuple[str, ...] = ()
    of_questions: bool = False


READERS = (
    Reader(interactions.NAME, interactions.recognise, interactions.read, interactions.OPTIONS),
    Reader(movielens.NAME, movielens.recognise, movielens.read, movielens.OPTIONS),
    Reader(bookcrossing.NAME, bookcrossing.recognise, bookcrossing.read, ("explicit",)),
    Reader(mind.NAME, mind.recognise, mind.read),
    Reader(yelp.NAME, yelp.recognise, yelp.read, ("year",)),
    Reader(amazon.NAME, amazon.recognise, amazon.read, amazon.OPTIONS),
    Reader(hotpotqa.NAME, hotpotqa.recognise, hotpotqa.read, hotpotqa.OPTIONS, of_questions=True),
)


def find(path: Path) -> Reader | None:
    """The reader for this folder or file, or None. Ours are asked first, then those of plug-ins."""
    return next((r for r in READERS if r.recognise(path)), None) or next(
        (r.value for r in plugins.found("readers").values() if r.value.recognise(path)), None
    )


def formats() -> list[str]:
    """Names of the formats that are known, ours first."""
    ours = [reader.name for reader in READERS]
    return [*ours, *(name for name in plugins.names("readers", ours) if name not in ours)]
