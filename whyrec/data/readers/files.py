"""Finding and opening data files, plain or .gz, with errors that name the file, and bounds on what they may cost.

A small file can unpack to gigabytes, and one line can be as long as a file. Neither is met in data sets: text packs to
a fifth or a tenth. So a .gz file may unpack to a hundred times its size (and to 64 MiB always), and a line may have 16
MiB; `?longest_line=MIB` in a data set's name raises the latter.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from whyrec.errors import UsageError

MIB: Final = 2**20
LONGEST_LINE: Final = 16 * MIB
MOST_TIMES: Final = 100
FREE: Final = 64 * MIB
_PIECE: Final = 4 * MIB
# In a context, not in every reader's arguments: which lines are too long is the caller's concern, no reader's.
_line_limit: ContextVar[int] = ContextVar("longest_line", default=LONGEST_LINE)


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


@contextmanager
def longest_line(mib: int) -> Iterator[None]:
    """Lines may have so many MiB while this is open; 0 for the default."""
    token = _line_limit.set(mib * MIB or LONGEST_LINE)
    try:
        yield
    finally:
        _line_limit.reset(token)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What goes wrong in opening or unpacking `path` is a sentence that names it.

    Raises:
        UsageError: the file is missing, may not be read, or is a .gz file that is damaged or cut short.
    """
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is not a whole gzip file ({error}). Download it again.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error}).") from None


def most_bytes(path: Path) -> int:
    """What a packed file may unpack to."""
    return max(FREE, MOST_TIMES * path.stat().st_size)


def read_bytes(path: Path) -> bytes:
    """The whole file, decompressed.

    Raises:
        UsageError: as `naming`, or a .gz file unpacks to more than it may.
    """
    with naming(path):
        if path.suffix != ".gz":
            return path.read_bytes()
        most, pieces, size = most_bytes(path), [], 0
        with gzip.open(path, "rb") as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                if size > most:
                    _bomb(path, most)
                pieces.append(piece)
        return b"".join(pieces)


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, line without its end) for every line that is not blank, streamed.

    Raises:
        UsageError: as `read_bytes`, or a line is too long.
    """
    limit = _line_limit.get()
    with naming(path), _open(path) as stream:
        left = most_bytes(path) if path.suffix == ".gz" else None
        for number, line in enumerate(iter(partial(stream.readline, limit + 1), b""), 1):
            if len(line) - line.endswith(b"\n") > limit:
                _too_long(path, number, limit)
            if left is not None:
                left -= len(line)
                if left < 0:
                    _bomb(path, most_bytes(path))
            if stripped := line.strip():
                yield number, stripped


def check_lines(data: bytes, path: Path) -> None:
    """Refuse content with a line that is too long; looks at one place per 16 MiB.

    Raises:
        UsageError: there is one; names file and line.
    """
    limit, at = _line_limit.get(), 0
    while len(data) - at > limit:
        end = data.rfind(b"\n", at, at + limit + 1)
        if end < 0:
            _too_long(path, data.count(b"\n", 0, at) + 1, limit)
        at = end + 1


def _open(path: Path) -> IO[bytes]:
    if path.suffix != ".gz":
        return path.open("rb")
    unpacked: Any = gzip.open(path, "rb")  # noqa: SIM115 - closed with the buffer around it
    return io.BufferedReader(unpacked, _PIECE)


def _bomb(path: Path, most: int) -> NoReturn:
    raise UsageError(
        f"{path} unpacks to more than {most // MIB:,} MiB, over {MOST_TIMES} times its own size: no data set packs "
        "like that. If you trust it, unpack it yourself (gunzip) and name the plain file."
    )


def _too_long(path: Path, number: int, limit: int) -> NoReturn:
    raise UsageError(
        f"{path}, line {number}: longer than {limit // MIB} MiB. If that is as it should be, allow more with "
        f"?longest_line={2 * limit // MIB} (in MiB)."
    )
