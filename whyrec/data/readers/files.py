"""Finding and opening data files, plain or .gz, with errors that name the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from whyrec.errors import UsageError


def find(folder: Path, name: str) -> Path | None:
    """`folder/name`, or `folder/name.gz`, whichever exists (the plain file first)."""
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)


def need(folder: Path, name: str) -> Path:
    """Like `find`.

    Raises:
        UsageError: neither exists.
    """
    found = find(folder, name)
    if found is None:
        raise UsageError(f"{folder} has neither {name} nor {name}.gz. Put the file there, plain or gzipped.")
    return found


def read_bytes(path: Path) -> bytes:
    """The whole file, decompressed.

    Raises:
        UsageError: the file is missing, or a .gz file is damaged or cut short.
    """
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is not a whole gzip file ({error}). Download it again.") from None


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, line without its end) for every line that is not blank, streamed.

    Raises:
        UsageError: the file is missing, or a .gz file is damaged or cut short.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if stripped := line.strip():
                    yield number, stripped
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is not a whole gzip file ({error}). Download it again.") from None
