"""Finds what rows begin with in common, so that it is read once.

Rows of one call (samples, option scores) share their prompt. Rows of other calls share the static text of their
prompt: the longest beginning that a row has in common with one that waits beside it, or came a little earlier. Such a
trunk is kept for rows to come; the few that were used last stay when nobody leans on them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from whyrec.llm.providers.decoding.rows import Row
from whyrec.llm.providers.decoding.store import Piece, Trunk

_GRAIN = (
    16  # a shared beginning is cut to a multiple of this, so that rows which share almost the same lean on the same
)
_WORTH = 32  # tokens that a new trunk has to spare
_SEEN = 64  # rows that came last and may turn out to begin like the next one
_IDLE = 6  # trunks that stay without a row leaning on them


class Trunks:
    """The trunks there are, and what came lately."""

    def __init__(self) -> None:
        self._trunks: list[Trunk] = []
        self._lately: deque[npt.NDArray[np.int64]] = deque(maxlen=_SEEN)
        self._round = 0

    def lean(self, row: Row, others: Iterable[Row]) -> list[Piece]:
        """Say what the row leans on; what has to be read first, because it is new.

        Args:
            row: about to be read.
            others: rows that wait behind it.
        """
        self._round += 1
        ids = np.asarray(row.ids, dtype=np.int64)
        most = len(ids) - row.wanted  # the row itself must read what its logits are wanted after
        trunk, shared = self._longest(ids, most)
        if row.call.rows > 1:
            wanted = min(row.call.common, most)
        else:
            wanted = max((_alike(ids, other) for other in self._others(others)), default=0)
            wanted = min(wanted, most) // _GRAIN * _GRAIN
        self._lately.append(ids)
        pieces = []
        if wanted >= shared + _WORTH:
            new = Trunk(ids[:wanted])
            pieces.append(Piece(row.ids[shared:wanted], shared, trunk=trunk, shared=shared, into=new))
            self._trunks.append(new)
            trunk, shared = new, wanted
        if trunk is not None:
            row.trunk, row.shared = trunk, shared
            trunk.users, trunk.used = trunk.users + 1, self._round
            self._forget()
        return pieces

    def leave(self, row: Row) -> None:
        """The row has ended."""
        if row.trunk is not None:
            row.trunk.users -= 1

    def clear(self) -> None:
        """Forget everything."""
        self._trunks.clear()
        self._lately.clear()

    def _longest(self, ids: npt.NDArray[np.int64], most: int) -> tuple[Trunk | None, int]:
        """The trunk that begins like these tokens for longest, and for how long."""
        best: tuple[Trunk | None, int] = (None, 0)
        for trunk in self._trunks:
            alike = min(_alike(ids, trunk.ids), most)
            alike = alike if alike == len(trunk.ids) else alike // _GRAIN * _GRAIN
            if alike > best[1]:
                best = trunk, alike
        return best

    def _others(self, waiting: Iterable[Row]) -> Sequence[npt.NDArray[np.int64]]:
        beside = [np.asarray(row.ids, dtype=np.int64) for row, _ in zip(waiting, range(_GRAIN), strict=False)]
        return [*self._lately, *beside]

    def _forget(self) -> None:
        idle = sorted((trunk for trunk in self._trunks if not trunk.users), key=lambda trunk: trunk.used)
        for trunk in idle[: max(0, len(idle) - _IDLE)]:
            self._trunks.remove(trunk)


def _alike(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> int:
    """How many tokens both begin with."""
    size = min(len(one), len(other))
    differ = one[:size] != other[:size]
    return int(differ.argmax()) if differ.any() else size
