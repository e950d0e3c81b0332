"""Graphs, prompts, tables, recommenders, providers and readers that others write, found beside our own.

A plug-in is a Python file named in `whyrec.toml` (`plugins = ["taste.py"]`), by `--plugin FILE` or in WHYREC_PLUGINS,
or an installed package with entry points in the groups `whyrec.graphs`, `whyrec.providers` and so on. What a file
declares is what stands in it at its top level: a `Workflow`, a `OwnPrompt`, a `Table`, a `RecommenderKind`, a
`Provider`, a `Reader`. There is nothing to register: the kind is written in the type, as `plugin_kind`.

A plug-in that cannot be loaded is named once on the error stream and stops nothing else. Files are imported when
something is looked for that is not our own, or when all are listed; nothing is imported by `import whyrec`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final, Literal, Protocol, runtime_checkable

Kind = Literal["graphs", "prompts", "tables", "recommenders", "providers", "readers"]
KINDS: Final[tuple[Kind, ...]] = ("graphs", "prompts", "tables", "recommenders", "providers", "readers")


@runtime_checkable
class Declared(Protocol):
    """What a plug-in declares: a name, and a kind that its type says."""

    plugin_kind: ClassVar[Kind]

    @property
    def name(self) -> str:
        """Under which it is found."""
        ...


@dataclass(frozen=True, slots=True)
class OwnPrompt:
    """A prompt as a plug-in declares it: the text of a prompt file (docs/prompts.md).

    Attributes:
        name: "folder/prompt", as its front matter says too.
        text: front matter and sections.
    """

    plugin_kind: ClassVar[Kind] = "prompts"
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Guest:
    """Something declared by a plug-in.

    Attributes:
        value: what was declared.
        where: the file or the package.
        digest: 16 hex digits of the file's content, or of the package's name and version.
    """

    value: Any
    where: str
    digest: str


_asked: list[str] = []  # by --plugin, in this process
_told: set[str] = set()  # complaints that were printed


def use(files: Iterable[str | Path]) -> None:
    """Plug-ins of this process beside those of the settings."""
    _asked.extend(str(file) for file in files if str(file) not in _asked)


def files() -> list[str]:
    """The plug-ins of the settings and of this process, as absolute paths, for a process that is started by it."""
    from whyrec.settings import read_settings  # pydantic: not for a command that asks for no plug-in

    named = (*read_settings().plugins, *_asked)
    return list(dict.fromkeys(str(Path(file).expanduser().absolute()) for file in named))


def forget() -> None:
    """As if no plug-in had been used in this process yet; for tests."""
    _asked.clear()
    _told.clear()
    _of_file.cache_clear()
    _of_packages.cache_clear()


def found(kind: Kind) -> Mapping[str, Guest]:
    """What plug-ins declare of a kind, by name; where two declare the same name, the first stands."""
    return _all()[kind]


def names(kind: Kind, ours: Iterable[str]) -> list[str]:
    """Our own names and those of guests, sorted; a guest that takes a name of ours is told about and left out."""
    own, guests = set(ours), found(kind)
    for name in sorted(own & guests.keys()):
        _complain(f"{guests[name].where} declares {name!r}, which is whyrec's own name; it is left out.")
    return sorted(own | guests.keys())


def problems() -> list[str]:
    """What is wrong with the plug-ins, a sentence each."""
    _all()
    return sorted(_told)


def _all() -> dict[Kind, dict[str, Guest]]:
    merged: dict[Kind, dict[str, Guest]] = {kind: {} for kind in KINDS}
    for kind, guest in (*_of_files(), *_of_packages()):
        name = guest.value.name
        if name in merged[kind] and merged[kind][name].where != guest.where:
            _complain(f"{guest.where} declares {name!r}, which {merged[kind][name].where} declares already.")
            continue
        merged[kind][name] = guest
    return merged


def _of_files() -> Iterator[tuple[Kind, Guest]]:
    for file in map(Path, files()):
        content, problem = _content(file)
        module: ModuleType | None = None
        if not problem:
            module, problem = _of_file(str(file), content)
        if problem or module is None:
            _complain(f"The plug-in {file} cannot be used: {problem}. Everything else goes on without it.")
            continue
        declared = [value for value in vars(module).values() if _declares(value, module)]
        if not declared:
            _complain(f"The plug-in {file} declares nothing; `whyrec new` writes one that does.")
        for value in declared:
            yield type(value).plugin_kind, Guest(value, str(file), content)


def _declares(value: object, module: ModuleType) -> bool:
    """Whether it is a declaration, and not a class or something that was imported."""
    return not isinstance(value, type | ModuleType) and getattr(type(value), "plugin_kind", None) in KINDS


def _content(file: Path) -> tuple[str, str]:
    """(digest of a file, "") or ("", why it cannot be read)."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16], ""
    except OSError as error:
        return "", error.strerror or str(error)


@lru_cache(maxsize=64)
def _of_file(file: str, content: str) -> tuple[ModuleType | None, str]:
    """(the module of a file as it stands, why there is none)."""
    name = f"whyrec_plugin_{Path(file).stem}_{hashlib.sha256(file.encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return None, "it is no Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        return None, _said(error)
    return module, ""


def _said(error: BaseException) -> str:
    """An exception of somebody else's code in one line, with the line it came from."""
    last, line = error.__traceback__, ""
    while last is not None:
        line, last = f" (line {last.tb_lineno} of {Path(last.tb_frame.f_code.co_filename).name})", last.tb_next
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}{line}"


@lru_cache(maxsize=1)
def _of_packages() -> tuple[tuple[Kind, Guest], ...]:
    """Once in a process: going through all installed packages takes some 70 ms."""
    return tuple(_of_entry_points())


def _of_entry_points() -> Iterator[tuple[Kind, Guest]]:
    for kind in KINDS:
        for point in importlib.metadata.entry_points(group=f"whyrec.{kind}"):
            where = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            try:
                value = point.load()
            except (Exception, SystemExit) as error:
                _complain(f"The plug-in {point.name!r} of {where} cannot be used: {_said(error)}.")
                continue
            if getattr(type(value), "plugin_kind", None) != kind:
                _complain(f"{point.value} of {where} is a {type(value).__name__}, no declaration of whyrec.{kind}.")
                continue
            yield kind, Guest(value, where, hashlib.sha256(where.encode()).hexdigest()[:16])


def _complain(sentence: str) -> None:
    """Say something once, where it disturbs no output."""
    if sentence not in _told:
        _told.add(sentence)
        sys.stderr.write(f"whyrec: {sentence}\n")
