"""The head of a GGUF file, read before anything is spent on it: what it is, its licence, and whether it is whole.

Layout (docs/gguf.md of ggml, versions 2 and 3, little-endian): "GGUF", version, number of tensors, number of keys; each
key a string, a type and a value; each tensor a name, its sides, a type and where its data begins. Counts and lengths
come from outside, so each is held against the size of the file before it is believed.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from whyrec.errors import UsageError

_MAGIC = b"GGUF"
_ALIGNMENT: Final = 32
_STRING, _ARRAY = 8, 9
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_LONGEST_KEY, _DEEPEST, _SHOWN = 65_535, 3, 1 << 20
# type of a tensor -> (name, values in a block, bytes of a block); of others the size is not checked
_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 28: ("F64", 1, 8), 30: ("BF16", 1, 2),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself.

    Attributes:
        keys: metadata; of arrays only the number of entries.
        types: how the weights are stored -> number of tensors.
        bytes: of the file.
    """

    keys: dict[str, Any]
    types: dict[str, int]
    bytes: int

    @property
    def architecture(self) -> str:
        """As llama.cpp names it ("llama", "qwen2")."""
        return self.text("general.architecture")

    @property
    def name(self) -> str:
        """As its maker named it, "" where nobody did."""
        return self.text("general.name")

    @property
    def licence(self) -> str:
        """As the file states it, "" where it does not."""
        return self.text("general.license")

    @property
    def template(self) -> str:
        """The chat template, "" for none."""
        return self.text("tokenizer.chat_template")

    @property
    def main_type(self) -> str:
        """How most tensors with two sides are stored ("Q4_K"); "" for none."""
        return max(self.types, key=lambda name: self.types[name], default="")

    def text(self, key: str) -> str:
        """A value that is text, "" where there is none."""
        value = self.keys.get(key, "")
        return value if isinstance(value, str) else ""


def is_gguf(path: Path) -> bool:
    """Whether a file begins like one."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == _MAGIC
    except OSError:
        return False


def read_header(path: Path) -> Header:
    """The head of a GGUF file.

    Raises:
        UsageError: it is none, is damaged, ends before its weights do, or is of a kind not read here.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            if stream.read(4) != _MAGIC:
                raise UsageError(f"{path} is no GGUF file: it does not begin with 'GGUF'.")
            return _Head(stream, size, path).read()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from None


class _Head:
    """One reading, from behind the magic word."""

    def __init__(self, stream: BinaryIO, size: int, path: Path) -> None:
        self._stream, self._size, self._path = stream, size, path

    def read(self) -> Header:
        version = self._number("I")
        if version not in (2, 3):
            raise UsageError(
                f"{self._path} is GGUF of version {version}; 2 and 3 are read here (little-endian). Get a newer file."
            )
        tensors, keys = self._count("Q", 24), self._count("Q", 13)
        found: dict[str, Any] = {}
        for _ in range(keys):
            key = self._string(_LONGEST_KEY)
            if key in found:
                raise self._damaged(f"it has the key {key[:80]!r} twice")
            found[key] = self._value(self._number("I"), 0)
        types, last = self._tensors(tensors)
        alignment = found.get("general.alignment", _ALIGNMENT)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise self._damaged("its alignment is no number")
        start = -(-self._stream.tell() // alignment) * alignment
        if start + last > self._size:
            raise UsageError(
                f"{self._path} ends at {self._size:,} bytes, and its weights go to {start + last:,}: it was cut. Get "
                "it again."
            )
        header = Header(found, types, self._size)
        if not header.architecture or not types:
            raise self._damaged("it names no architecture or holds no weights")
        return header

    def _tensors(self, count: int) -> tuple[dict[str, int], int]:
        """Type -> number of tensors of at least two sides, and where the last one ends."""
        types: dict[str, int] = {}
        last = 0
        for _ in range(count):
            self._string(_LONGEST_KEY)
            sides = [self._number("Q") for _ in range(self._count("I", 8, most=8))]
            kind, offset = self._number("I"), self._number("Q")
            name, block, wide = _TYPES.get(kind, (f"type {kind}", 1, 0))
            last = max(last, offset + math.prod(sides) // block * wide)
            if len(sides) > 1:
                types[name] = types.get(name, 0) + 1
        return types, last

    def _value(self, kind: int, depth: int) -> Any:
        if kind == _STRING:
            return self._string(self._size)
        if kind != _ARRAY:
            return self._number(self._known(kind))
        inner = self._number("I")
        if depth >= _DEEPEST:
            raise self._damaged("its lists are nested too deeply")
        if inner in _WIDTHS:
            count = self._count("Q", _WIDTHS[inner])
            self._skip(count * _WIDTHS[inner])
            return count
        if inner not in (_STRING, _ARRAY):
            raise self._damaged(f"it has a value of the unknown type {inner}")
        count = self._count("Q", 8)
        for _ in range(count):
            if inner == _STRING:
                self._skip(self._count("Q", 1))
            else:
                self._value(_ARRAY, depth + 1)
        return count

    def _known(self, kind: int) -> str:
        if kind not in _FORMATS:
            raise self._damaged(f"it has a value of the unknown type {kind}")
        return _FORMATS[kind]

    def _string(self, most: int) -> str:
        length = self._count("Q", 1, most=most)
        text = self._bytes(min(length, _SHOWN))
        self._skip(length - len(text))
        return text.decode("utf-8", "replace")

    def _count(self, code: str, wide: int, *, most: int | None = None) -> int:
        """A number of things of at least `wide` bytes each, which have to be in the rest of the file."""
        found = int(self._number(code))
        if found * wide > self._size - self._stream.tell() or (most is not None and found > most):
            raise self._damaged(f"it announces {found:,} entries where there is no room for them")
        return found

    def _number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self._bytes(struct.calcsize(f"<{code}")))[0]

    def _bytes(self, count: int) -> bytes:
        found = self._stream.read(count)
        if len(found) < count:
            raise self._damaged("it ends within its head")
        return found

    def _skip(self, count: int) -> None:
        if count:
            self._stream.seek(count, 1)
            if self._stream.tell() > self._size:
                raise self._damaged("it ends within its head")

    def _damaged(self, why: str) -> UsageError:
        return UsageError(f"{self._path} is a damaged GGUF file: {why}. Get it again.")
