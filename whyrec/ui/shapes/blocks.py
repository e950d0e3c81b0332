"""What a result is made of on a page, and what has to be known around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

PER_PAGE = 20


def _nothing(ids: Sequence[str | int]) -> Mapping[str | int, str]:
    return {}


def _no_template(name: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Around:
    """What a payload does not hold itself.

    Attributes:
        titles: ids or dense indices of items -> titles of those that there are.
        template: the steps of a template by its name; () where there is none.
        pages: block -> from which of its rows on it is shown.
    """

    titles: Callable[[Sequence[str | int]], Mapping[str | int, str]] = _nothing
    template: Callable[[str], tuple[str, ...]] = _no_template
    pages: Mapping[str, int] = field(default_factory=dict)

    def part(self, block: str, rows: Sequence[Any], *, size: int = PER_PAGE) -> Part:
        """The rows of a block that stand on this page of it."""
        at = self.pages.get(block, 0)
        at = at if 0 <= at < len(rows) else 0
        return Part(block, tuple(rows[at : at + size]), at, len(rows), size)


@dataclass(frozen=True)
class Part:
    """Some rows of a block: which, from where on, and of how many."""

    block: str
    rows: tuple[Any, ...]
    at: int
    total: int
    size: int


@dataclass(frozen=True)
class Prose:
    """A text."""

    kind: ClassVar[str] = "prose"
    name: str
    text: str


@dataclass(frozen=True)
class Chips:
    """Words."""

    kind: ClassVar[str] = "chips"
    name: str
    part: Part


@dataclass(frozen=True)
class Texts:
    """Several texts."""

    kind: ClassVar[str] = "texts"
    name: str
    part: Part


@dataclass(frozen=True)
class Ranked:
    """Items in their order: rows of (place, id, title, values), the values under `columns`."""

    kind: ClassVar[str] = "ranked"
    name: str
    columns: tuple[str, ...]
    part: Part


@dataclass(frozen=True)
class Leaf:
    """A thought of a tree: its number, text, scores, who chose it, whether a choice hangs below, and its children."""

    number: int
    text: str
    scores: tuple[tuple[str, float], ...]
    chosen: tuple[str, ...]
    chosen_below: bool
    children: tuple[Leaf, ...]


@dataclass(frozen=True)
class Tree:
    """Thoughts that grow out of one another; `best` is the highest score under each name."""

    kind: ClassVar[str] = "tree"
    name: str
    roots: tuple[Leaf, ...]
    size: int
    choices: tuple[tuple[str, int], ...]
    best: Mapping[str, float]


@dataclass(frozen=True)
class Step:
    """One step of a chain: what it was to do (""), its heading in the chain (""), and what it says."""

    planned: str
    heading: str
    text: str


@dataclass(frozen=True)
class Chain:
    """Steps in order, and the template whose steps stand beside them, "" where there is none."""

    kind: ClassVar[str] = "chain"
    name: str
    template: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Several:
    """Several of the same: each has its own blocks."""

    kind: ClassVar[str] = "several"
    name: str
    part: Part


@dataclass(frozen=True)
class Cell:
    """A value in a table: how it reads, whether it is a number, and its share of a bar."""

    text: str
    number: bool = False
    share: float | None = None


@dataclass(frozen=True)
class Grid:
    """A table."""

    kind: ClassVar[str] = "grid"
    name: str
    columns: tuple[str, ...]
    part: Part


@dataclass(frozen=True)
class Facts:
    """Single values with their names."""

    kind: ClassVar[str] = "facts"
    name: str
    pairs: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True)
class Section:
    """A value that is itself made of blocks, open or shut at first."""

    kind: ClassVar[str] = "section"
    name: str
    blocks: tuple[Block, ...]
    open: bool = False


@dataclass(frozen=True)
class Raw:
    """What has no shape that is known: JSON."""

    kind: ClassVar[str] = "raw"
    name: str
    value: Any


Block: TypeAlias = Prose | Chips | Texts | Ranked | Tree | Chain | Several | Grid | Facts | Section | Raw
