"""Fetching one file over HTTP: into a .part file, resumed where it broke off, renamed when whole.

A resumed request carries If-Range with the server's own validator (ETag or Last-Modified), kept beside the .part file,
so that two versions of a file are never spliced together.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError
from whyrec.version import __version__

Progress = Callable[[int, int | None], None]
_CHUNK = 1 << 18
_TIMEOUT = 30.0


class DroppedError(Exception):
    """The connection ended before the file did, or the server was busy: worth another try."""


def fetch(
    url: str, path: Path, *, progress: Progress = lambda done, total: None, tries: int = 5, pause: float = 1.0
) -> None:
    """Download `url` to `path`, going on where an earlier attempt stopped.

    Args:
        url: http or https.
        path: where the whole file goes; what has come so far is kept in `path` + ".part".
        progress: told (bytes so far, bytes in all or None) now and then.
        tries: attempts in a row that may make no headway before giving up.
        pause: seconds before the second attempt, doubled each time.

    Raises:
        UsageError: the server cannot be reached, refuses, or keeps dropping the connection.
    """
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _attempt(url, part, progress)
        except urllib.error.HTTPError as error:
            raise UsageError(f"{url} answered {error.code} {error.reason}.") from None
        except (DroppedError, urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise  # our own disk, not the network
            failures = 0 if _size(part) > before else failures + 1
            reason = getattr(error, "reason", error)
            if isinstance(reason, socket.gaierror):  # no such host, or no network: waiting does not help
                raise UsageError(f"{url} cannot be reached ({reason.strerror}).") from None
            if failures >= tries:
                raise UsageError(f"No answer from {url} ({reason}) in {tries} tries.") from None
            time.sleep(pause * 2 ** max(failures - 1, 0))
        except UsageError:
            raise
        except ValueError as error:  # an address it sends us to, or a header, that cannot be read
            raise UsageError(f"{url} answered what cannot be understood ({error}).") from None
        else:
            part.replace(path)
            _validator(part).unlink(missing_ok=True)
            return


def fetch_text(url: str) -> str:
    """A small text file.

    Raises:
        UsageError: it cannot be had.
    """
    try:
        with _open(url, {}) as response:
            body: bytes = response.read(1 << 16)
            return body.decode("utf-8", "replace")
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise UsageError(f"No answer from {url} ({getattr(error, 'reason', error)}).") from None


def _attempt(url: str, part: Path, progress: Progress) -> None:
    """One request, appended to `part`; returns when the file is whole."""
    have, headers = _size(part), {}
    if have and (kept := _kept(part)):
        headers = {"Range": f"bytes={have}-", "If-Range": kept}
    try:
        response = _open(url, headers)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing after what we have: either whole, or not ours
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink(missing_ok=True)
            raise DroppedError("the part kept does not fit") from None
        if error.code in (429, 500, 502, 503, 504):
            raise DroppedError(f"{error.code} {error.reason}") from None
        raise
    with response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        length = response.headers.get("Content-Length", "")
        start = have if resumed else 0
        total = start + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if not resumed:
            _validator(part).write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")
        with part.open("ab" if resumed else "wb", buffering=0) as stream:
            done = _copy(response, stream, start, total, progress)
    if total is not None and done < total:
        raise DroppedError(f"the connection ended at {done:,} of {total:,} bytes")


def _copy(response: Any, stream: FileIO, done: int, total: int | None, progress: Progress) -> int:
    while chunk := memoryview(response.read(_CHUNK)):
        done += len(chunk)
        try:
            while chunk:  # unbuffered, so that a full disk is met here and not at the close
                chunk = chunk[stream.write(chunk) :]
        except OSError as error:
            raise UsageError(f"{stream.name} cannot be written: {error.strerror}. Make room and try again.") from None
        progress(done, total)
    return done


def _open(url: str, headers: dict[str, str]) -> Any:
    assert url.startswith(("https://", "http://"))
    request = urllib.request.Request(url, headers={"User-Agent": f"whyrec/{__version__}", **headers})
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise


def _validator(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _kept(part: Path) -> str:
    """The validator of the version that `part` is a piece of, "" where the file starts over.

    A weak ETag does not vouch for bytes, and a note that something else has changed vouches for nothing.
    """
    try:
        note = json.loads(_validator(part).read_bytes())
        kept = note["validator"]
    except (FileNotFoundError, ValueError, RecursionError, KeyError, TypeError, IndexError):
        return ""
    sendable = isinstance(kept, str) and kept.isascii() and kept.isprintable()
    return kept if sendable and not kept.startswith("W/") else ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
