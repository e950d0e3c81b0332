"""What the libraries under the readers raise when a file is not what it says; as sentences.

Rust code panics where Python code would raise, and a panic is no `Exception`: it is listed with the others.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import polars as pl

from whyrec.errors import UsageError

FAULTS: Final = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    csv.Error,
    OverflowError,
    RecursionError,
    MemoryError,
    UnicodeError,
    OSError,
)


def reason(error: BaseException) -> str:
    """The first line of what a library said, shortened."""
    said = str(error).strip().splitlines()
    return (said[0] if said else type(error).__name__)[:200]


@contextmanager
def sentences(path: Path, what: str = "data") -> Iterator[None]:
    """What a library raises while this is open is a sentence about `path`.

    Args:
        path: the file or folder that is read.
        what: what it should have been ("a Parquet file").

    Raises:
        UsageError: one of FAULTS was raised.
    """
    try:
        yield
    except FAULTS as error:
        raise UsageError(f"{path} cannot be read as {what} ({reason(error)}).") from error
