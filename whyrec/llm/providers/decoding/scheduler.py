"""One step after another with all rows that are under way: rows join and leave between steps.

A thread of its own works while there are rows and rests otherwise, so the event loops stay free. In each round it drops
the rows that nobody waits for any more (so an interrupt takes effect within one step), reads the prompts of rows that
wait while there is room, and writes one token of every row under way. A row that ends leaves at once: it costs nothing
more, and the next one takes its place. So long rows do not hold back short ones, and none waits for a batch to fill.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import torch

from whyrec.llm.model import ModelError, Refused
from whyrec.llm.providers.decoding.choosing import Chooser
from whyrec.llm.providers.decoding.rows import Reading, Row, Writing
from whyrec.llm.providers.decoding.store import Piece
from whyrec.llm.providers.decoding.trunks import Trunks

_WINDOW_S = 0.002  # how long the first row waits for others that come with it
_TOKENS = 1024  # read in one pass (more only where one prompt is longer)
_WANTED = 256  # places whose logits one pass keeps
_PASSES = 8  # of reading before the rows under way get their next token
_AHEAD = 256  # tokens that a row is expected to say, where there is not room for all it may


class Way(Protocol):
    """How pieces are read: `packed.Packed` or `single.Single`."""

    shares: bool

    def forward(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """Read; the wanted logits, float32[N, V]."""
        ...

    def sharpen(self, logits_RV: torch.Tensor, places: Sequence[int], whole: Collection[int]) -> None:
        """Logits of these places of the latest pass as float32 has them: the largest, or all of the rows `whole`."""
        ...

    def move(self, source: int, target: int, tokens: int) -> None:
        """The row in slot `source` goes to `target`."""
        ...

    def in_slot(self, length: int, shared: int) -> int:
        """How many tokens of a row lie in its slot."""
        ...

    def room(self, tokens: int) -> int:
        """How many rows of this many tokens there is memory for."""
        ...

    def clear(self) -> None:
        """Forget all rows."""
        ...


class Scheduler:
    """The rows of one model.

    Args:
        way: reads pieces.
        chooser: takes the next tokens.
        name: of the model, for errors.
        most: rows under way at once.
    """

    def __init__(self, way: Way, chooser: Chooser, *, name: str, most: int) -> None:
        self._way, self._chooser, self._name, self._most = way, chooser, name, most
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []  # the row in slot i is the i-th
        self._trunks = Trunks()
        self._lock = threading.Lock()
        self._busy = False
        self._thread: ThreadPoolExecutor | None = None

    def add(self, rows: Sequence[Row]) -> None:
        """Rows whose `done` will be set; from any thread."""
        with self._lock:
            self._waiting.extend(rows)
            if not self._busy and rows:
                self._busy = True
                self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="whyrec-local-model")
                self._thread.submit(self._work)

    def close(self) -> None:
        """Give the thread and what was read back; rows under way are finished first."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=True)
        self._trunks.clear()
        self._way.clear()

    @torch.inference_mode()
    def _work(self) -> None:
        time.sleep(_WINDOW_S)
        while True:
            with self._lock:
                self._busy = bool(self._waiting or self._rows)
                if not self._busy:
                    return
            self._round()

    def _round(self) -> None:
        begun: list[Row] = []
        try:
            self._leave()
            for _ in range(_PASSES):
                begun, pieces = self._begin()
                if not begun:
                    break
                self._read(begun, pieces)
                begun = []
            if self._rows:
                self._write()
        except torch.OutOfMemoryError:
            self._fail(begun, Refused(f"{self._name} ran out of memory; decode fewer rows together with ?batch=1."))
        except Exception as fault:  # a model's own code may raise anything; it is told to whoever asked
            self._fail(begun, ModelError(f"{self._name} failed ({type(fault).__name__}): {fault}"))

    def _begin(self) -> tuple[list[Row], list[Piece]]:
        """Rows to read next, in slots behind those in use, and their pieces."""
        rows: list[Row] = []
        pieces: list[Piece] = []
        tokens = wanted = 0
        longest = max((self._will_be(row) for row in self._rows), default=0)
        while self._waiting and tokens < _TOKENS:
            slot, row = len(self._rows) + len(rows), self._waiting[0]
            longest = max(longest, self._will_be(row))
            if slot and (slot >= self._most or slot >= self._way.room(longest)):
                break
            if rows and wanted + row.wanted > _WANTED:
                break
            with self._lock:
                self._waiting.popleft()
                beside = list(islice(self._waiting, _PASSES))
            if row.done.cancelled():
                continue
            fresh = self._trunks.lean(row, beside) if self._way.shares else []
            fresh.append(Piece(row.ids[row.shared :], row.shared, row.wanted, slot, row.trunk, row.shared))
            rows.append(row)
            pieces += fresh
            tokens, wanted = tokens + sum(len(piece.ids) for piece in fresh), wanted + row.wanted
        return rows, pieces

    def _will_be(self, row: Row) -> int:
        """How many tokens there will be in a row's slot."""
        more = min(row.limit, _AHEAD) if isinstance(row, Writing) else 0
        return self._way.in_slot(max(len(row.ids), row.length) + more, row.shared)

    def _read(self, rows: list[Row], pieces: list[Piece]) -> None:
        logits_NV = self._way.forward(pieces)
        written: list[Writing] = []
        places: list[int] = []
        end = 0
        for row in rows:
            begin, end = end, end + row.wanted
            row.length = len(row.ids)
            if isinstance(row, Reading):
                self._way.sharpen(logits_NV[begin:end], range(begin, end), range(row.wanted))
                row.score(logits_NV[begin:end])
            elif isinstance(row, Writing):
                written.append(row)
                places.append(end - 1)
        if written:
            self._choose(written, logits_NV[places], places)
        self._rows += rows
        self._leave()

    def _write(self) -> None:
        rows = [row for row in self._rows if isinstance(row, Writing)]
        pieces = [Piece(row.said[-1:], row.length, 1, slot, row.trunk, row.shared) for slot, row in enumerate(rows)]
        logits_RV = self._way.forward(pieces)
        for row in rows:
            row.length += 1
        self._choose(rows, logits_RV, range(len(rows)))
        self._leave()

    def _choose(self, rows: list[Writing], logits_RV: torch.Tensor, places: Sequence[int]) -> None:
        self._chooser.step(rows, logits_RV, lambda logits, whole: self._way.sharpen(logits, places, whole))

    def _leave(self) -> None:
        """Rows that have ended, or that nobody waits for, make place; the last ones move up into it."""
        place = 0
        while place < len(self._rows):
            while self._rows and _gone(self._rows[-1]):
                self._end(self._rows.pop())
            if place < len(self._rows) and _gone(self._rows[place]):
                ended, last = self._rows[place], self._rows.pop()
                self._way.move(len(self._rows), place, self._way.in_slot(last.length, last.shared))
                self._rows[place] = last
                self._end(ended)
            place += 1

    def _end(self, row: Row, error: Exception | None = None) -> None:
        self._trunks.leave(row)
        row.settle(error)

    def _fail(self, begun: list[Row], error: Exception) -> None:
        """All rows that the model was reading when it broke; what it had read of them is not to be trusted."""
        rows, self._rows = self._rows, []
        for row in {id(row): row for row in (*rows, *begun)}.values():
            self._end(row, error)
        self._trunks.clear()
        self._way.clear()


def _gone(row: Row) -> bool:
    return isinstance(row, Reading) or row.done.cancelled() or (isinstance(row, Writing) and row.finish is not None)
