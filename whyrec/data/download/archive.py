"""Unpacking zip archives of others: nothing lands outside the folder, and nothing unpacks to more than it may."""

from __future__ import annotations

import contextlib
import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from whyrec.errors import UsageError

_JUNK = "__MACOSX/"
_PIECE = 1 << 20
_LONGEST_NAME = 255  # bytes of one part of a path
_MOST_TIMES, _ALWAYS = 100, 64 << 20  # of its own size may an archive unpack to; and to so many bytes always


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into `folder`, without the one folder that holds everything, if there is one.

    Raises:
        UsageError: not a zip archive, damaged, locked, larger than the disk or than any data set packs, with a member
            that would leave the folder or be in the way of another, or the folder cannot be written.
    """
    with _reading(archive):
        zipped = zipfile.ZipFile(archive)
    with zipped:
        members = [m for m in zipped.infolist() if not m.filename.endswith("/") and not m.filename.startswith(_JUNK)]
        places = [_member(archive, m.filename) for m in members]
        _apart(archive, places)
        _room(archive, folder, sum(m.file_size for m in members))
        tops = {place.parts[0] for place in places if len(place.parts) > 1}
        skip = 1 if len(tops) == 1 and all(len(place.parts) > 1 for place in places) else 0
        for member, place in zip(members, places, strict=True):
            path = folder.joinpath(*place.parts[skip:])
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as stream:
                    stream.writelines(_pieces(archive, zipped, member))
            except OSError as error:
                raise UsageError(f"{path} cannot be written: {error.strerror or error}. Make room there.") from None


def copy_member(archive: Path, name: str, path: Path, *, most: int) -> None:
    """Write one member of a zip archive to a file, and nothing else of it.

    Args:
        archive: the archive.
        name: the member's exact name.
        path: where to; never taken from the archive.
        most: bytes it may have when unpacked, whatever the archive says.

    Raises:
        UsageError: not a zip archive, damaged, locked, without such a member, or a larger one, or no room.
    """
    with _reading(archive):
        zipped = zipfile.ZipFile(archive)
    with zipped:
        found = [member for member in zipped.infolist() if member.filename == name]
        if len(found) != 1:
            raise UsageError(f"{archive} holds {len(found)} files named {name!r}, and one is wanted. Do not trust it.")
        written = 0
        try:
            with path.open("wb") as stream:
                for piece in _pieces(archive, zipped, found[0]):
                    written += len(piece)
                    if written > most:
                        break
                    stream.write(piece)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}. Make room there.") from None
    if written > most:
        path.unlink(missing_ok=True)
        raise UsageError(f"{name} in {archive} unpacks to more than the {most:,} bytes it should. Do not trust it.")


def _pieces(archive: Path, zipped: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with _reading(archive), zipped.open(member) as packed:
        while piece := packed.read(_PIECE):
            yield piece


@contextlib.contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """What goes wrong in reading an archive is a sentence. `zipfile` raises whatever its parts raise."""
    try:
        yield
    except UsageError:
        raise
    except RuntimeError as error:  # this is how it says "encrypted"; NotImplementedError is one, too
        raise UsageError(f"{archive} cannot be unpacked here ({error}). Unpack it with another program.") from None
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, struct.error, OSError, ValueError, LookupError,
            OverflowError) as error:  # fmt: skip
        raise UsageError(f"{archive} is not a whole zip archive ({error}). Delete it and get it again.") from None


def _member(archive: Path, name: str) -> PurePosixPath:
    place = PurePosixPath(name.replace("\\", "/"))
    if place.is_absolute() or not place.parts or ".." in place.parts or ":" in place.parts[0]:
        raise UsageError(f"{archive} holds {name!r}, which would be written outside its folder. Do not trust it.")
    if any(not part.isprintable() or len(part.encode()) > _LONGEST_NAME for part in place.parts):
        raise UsageError(f"{archive} holds {name[:80]!r}, which is no name for a file. Do not trust it.")
    return place


def _apart(archive: Path, places: list[PurePosixPath]) -> None:
    """Refuse an archive in which one member would take the place of another."""
    taken: set[PurePosixPath] = set()
    for place in places:
        if place in taken:
            raise UsageError(f"{archive} holds {str(place)!r} twice, and only one of them can be unpacked.")
        taken.add(place)
    for place in places:
        if clash := next((parent for parent in place.parents if parent in taken), None):
            raise UsageError(f"{archive} holds {str(clash)!r} both as a file and as a folder. Do not trust it.")


def _room(archive: Path, folder: Path, need: int) -> None:
    if need > max(_MOST_TIMES * archive.stat().st_size, _ALWAYS):
        raise UsageError(
            f"{archive.name} unpacks to {need:,} bytes, over {_MOST_TIMES} times its own size: nothing useful "
            f"packs like that. If you trust it, unpack it yourself into {folder}."
        )
    if need > shutil.disk_usage(folder).free:
        raise UsageError(f"{archive.name} unpacks to {need:,} bytes, and {folder} has less room than that.")
