"""Rows of a split as examples: drawn once by seed, listed in a file, in an order that lets a run be extended.

The published code takes the first 10,000 rows of a test set sorted by time, which are only its earliest part; here
they are drawn at random (spec 5.d). A draw of N rows is the beginning of one permutation, so `--users n` takes the
first n of it and a later start with more goes on from there.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from graphs.rallrec.options import Options, check, number
from graphs.shared.catalogue import StoredDescriptions
from graphs.workflow import Source
from whyrec.data.ctr import CtrRows, CtrView, ctr_rows
from whyrec.data.some import at_most
from whyrec.errors import UsageError

OptionsT = TypeVar("OptionsT", bound=Options)
GAMMA = "2/3"


def rows_of(source: Source, options: Options) -> CtrRows:
    """The data set's rows under these options."""
    return ctr_rows(
        source.corpus,
        protocol=None if options.protocol == "auto" else options.protocol,
        above=number("liked_above", options.liked_above, -1e6, 1e6) if options.liked_above else None,
    )


class RowInputs(Generic[OptionsT]):
    """Rows of a split; a base for the inputs of a workflow.

    `options` are as given, with the protocol, the weight of the channels and the run of descriptions filled in.

    Raises:
        UsageError: options that cannot be used, data without ratings or rows, or a file of other rows where these
            would be listed.
    """

    def __init__(self, source: Source, options: OptionsT) -> None:
        check(options)
        data = rows_of(source, options)
        self.view = CtrView(data, options.split)
        stored = StoredDescriptions(source.home, options.descriptions)
        self.options: OptionsT = replace(
            options,
            protocol=data.protocol,
            liked_above=f"{data.above:g}",
            gamma=options.gamma or (GAMMA if data.has_time else "1"),
            descriptions=stored.id,
        )
        drawn = np.random.default_rng([options.seed, 7]).permutation(self.view.rows)[: options.rows]
        if not len(drawn):
            raise UsageError(f"{source.corpus.name} has no {options.split} rows: it is too small for 8:1:1.")
        self._list(source.home / "rows", np.sort(drawn))
        self.drawn: npt.NDArray[np.int64] = drawn
        self.indices: npt.NDArray[np.int64] = np.sort(drawn[: at_most(source.users)])

    def key(self, index: int) -> str:
        """Key of a row: "test/row-123"."""
        return self.view.key(index)

    def place(self, index: int) -> tuple[str, str]:
        """(user id, split)."""
        return str(self.view.corpus.user_ids[self.view.user(index)]), self.view.split

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Events shown of each row's history."""
        return np.array([min(len(self.view.history(int(row))), self.options.k) for row in self.indices], dtype=np.int64)

    def partner(self, index: int) -> int:
        """Another user's row, for placebos: the next of that kind in the order of the draw.

        Raises:
            UsageError: all rows drawn are of one user.
        """
        user, drawn = self.view.user(index), self.drawn
        at = self._place_in_draw[index]
        for step in range(1, len(drawn)):
            row = int(drawn[(at + step) % len(drawn)])
            if self.view.user(row) != user:
                return row
        raise UsageError(f"All {self.view.split} rows drawn are of one user, so there is no other's for a placebo.")

    @cached_property
    def _place_in_draw(self) -> dict[int, int]:
        return {row: place for place, row in enumerate(self.drawn.tolist())}

    def _list(self, folder: Path, drawn: npt.NDArray[np.int64]) -> None:
        """Write the draw down, one row per line: number, user, item."""
        o = self.options
        path = folder / f"{self.view.data.digest}-{o.split}-{o.rows}-{o.seed}.tsv"
        ids, c = self._item_ids, self.view.corpus
        lines = (f"{r}\t{c.user_ids[self.view.user(r)]}\t{ids[self.view.item(r) - 1]}" for r in drawn.tolist())
        text = "row\tuser\titem\n" + "".join(f"{line}\n" for line in lines)
        if path.exists():
            if path.read_text(encoding="utf-8") != text:
                raise UsageError(f"{path} lists other rows than are drawn now. Delete it to freeze the rows anew.")
            return
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)

    @cached_property
    def _item_ids(self) -> list[str]:
        found: list[str] = self.view.corpus.catalogue["id"].to_list()
        return found
