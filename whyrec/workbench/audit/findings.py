"""What an audit found, and how much it looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from whyrec.plugins.rules import Rule

_MOST = 10_000


@dataclass(frozen=True)
class Finding:
    """Something that should not be there.

    Attributes:
        kind: "later", "named", "secret", "oracle", ...
        where: "call 17", "result test/u3", "manifest.json".
        what: a sentence; of a secret never more than its beginning.
    """

    kind: str
    where: str
    what: str


@dataclass
class Findings:
    """What is found, while it is found.

    Attributes:
        found: what is wrong; the first ones, `more` counts the rest.
        notes: what is worth knowing and no leak.
        counts: what was looked at -> how much.
        lifted: rules that a switch of the run lifts.
    """

    found: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lifted: frozenset[Rule] = frozenset()
    more: int = 0
    _seen: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, kind: str, where: str, what: str) -> None:
        """Something is wrong."""
        if len(self.found) < _MOST:
            self.found.append(Finding(kind, where, what))
        else:
            self.more += 1

    def note(self, kind: str, where: str, what: str, *, once: str = "") -> None:
        """Something is worth knowing; with `once`, only the first time that this is said."""
        if once and (kind, once) in self._seen:
            return
        self._seen.add((kind, once))
        self.counts[f"notes: {kind}"] += 1
        if len(self.notes) < _MOST:
            self.notes.append(Finding(kind, where, what))

    def count(self, what: str, n: int = 1) -> None:
        """So much was looked at."""
        self.counts[what] += n

    def at(self, where: str) -> Callable[[str, str], None]:
        """`add` for one place."""
        return partial(self._add_at, where)

    def undeclared(self, prompt: str) -> None:
        """A prompt or graph that nobody declares is held to the strictest rule."""
        self.note("rule", prompt, "has no declared rules: nothing later may stand in any of its blanks", once=prompt)

    def _add_at(self, where: str, kind: str, what: str) -> None:
        self.add(kind, where, what)
