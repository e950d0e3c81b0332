"""`whyrec data get`: fetch a public data set into the download folder, check it, unpack it, and write down what came.

`SOURCE.json` in the folder records every file's address, size and sha256, and what it was checked against. Where
nobody publishes a checksum, a later download is compared with the record of the first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whyrec.data.download.archive import unpack
from whyrec.data.download.catalogue import SOURCES, Remote, Source
from whyrec.data.download.file import Progress, fetch, fetch_text
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings

RECORD = "SOURCE.json"
Say = Callable[[str], None]


def source(name: str) -> Source:
    """The registered source of this name.

    Raises:
        UnknownNameError: none.
    """
    if name not in SOURCES:
        raise UnknownNameError("public data set", name, SOURCES)
    return SOURCES[name]


def get(
    wanted: Source,
    *,
    settings: Settings,
    say: Say,
    progress: Progress = lambda done, total: None,
    again: bool = False,
) -> Path:
    """Fetch, check and unpack a data set; files put in the folder by hand are taken instead of downloading.

    Args:
        wanted: from `source`.
        settings: the folder is the last of `data_folders`.
        say: told each sentence a person should read (terms, what was checked).
        progress: told bytes so far and in all.
        again: download even if it is there.

    Returns:
        The folder.

    Raises:
        UsageError: no network, a refusal, a wrong checksum, a damaged or hostile archive, no space, or a set that
            only a person can download; says where to put the file.
    """
    folder = settings.data_folders[-1] / wanted.name
    say(f"Terms: {wanted.terms}")
    if not wanted.files:
        raise UsageError(f"{wanted.name} cannot be downloaded by a program. {wanted.manual} in {folder}.")
    recorded = _recorded(folder)
    if recorded and not again:
        say(f"{wanted.name} is already in {folder} (--again downloads it anew).")
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    record = {}
    for remote in wanted.files:
        path = folder / remote.into / remote.name
        if again and recorded:
            path.unlink(missing_ok=True)
        _have(remote, path, progress, say)
        record[remote.name] = _check(remote, path, recorded.get(remote.name), say)
        if path.suffix == ".zip":
            unpack(path, path.parent)
            path.unlink()
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    say(f"{wanted.name} is in {folder}.")
    return folder


def _have(remote: Remote, path: Path, progress: Progress, say: Say) -> None:
    """Make sure the file is at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        say(f"Taking {path}, which is already there.")
        return
    say(f"Downloading {remote.url}")
    try:
        fetch(remote.url, path, progress=progress)
    except UsageError as error:
        raise UsageError(
            f"{error} Get {remote.name} some other way, put it in {path.parent}, and run the same command again."
        ) from None


def _check(remote: Remote, path: Path, before: dict[str, Any] | None, say: Say) -> dict[str, Any]:
    """Compare with what is published or recorded; the record of this file."""
    sha256 = _digest(path, "sha256")
    against = []
    if remote.sha256:
        _same(remote, path, sha256, remote.sha256, remote.source)
        against.append(f"sha256 of {remote.source}")
    if remote.md5_url and (published := _published_md5(remote, say)):
        _same(remote, path, _digest(path, "md5"), published, remote.md5_url)
        against.append(f"md5 of {remote.md5_url}")
    if against:
        say(f"{remote.name}: checksum as published ({'; '.join(against)}).")
    elif before and before["sha256"] == sha256:
        say(f"{remote.name}: the same file as at the first download ({before['fetched']}).")
    elif before:
        say(f"{remote.name}: NOT the file first downloaded on {before['fetched']}: it changed upstream.")
    else:
        say(f"{remote.name}: nobody publishes a checksum we could cite; its sha256 {sha256} is recorded now.")
    return {
        "url": remote.url,
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "checked against": against,
        "fetched": datetime.now(UTC).date().isoformat(),
    }


def _published_md5(remote: Remote, say: Say) -> str:
    """The md5 in the published file ("MD5 (x.zip) = abc" or "abc  x.zip"), "" if it cannot be had."""
    try:
        words = fetch_text(remote.md5_url).replace("=", " ").split()
    except UsageError as error:
        say(f"{remote.name}: the published md5 could not be fetched. {error}")
        return ""
    return next((w.lower() for w in words if len(w) == 32 and not set(w.lower()) - set("0123456789abcdef")), "")


def _same(remote: Remote, path: Path, found: str, published: str, where: str) -> None:
    if found != published:
        path.unlink()
        raise UsageError(
            f"{remote.name} has the checksum {found}, but {where} publishes {published}. The file was deleted; "
            "run the command again, and if it happens twice, the file upstream has changed."
        )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """What was written down at the first download.

    Raises:
        UsageError: the file is not what `get` writes.
    """
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict) and all(_whole_record(entry) for entry in found.values()):
            return found
    except (ValueError, RecursionError):
        pass
    raise UsageError(f"{path} is not what `whyrec data get` writes. Delete it and get the data set again.")


def _whole_record(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("sha256", "fetched"))
