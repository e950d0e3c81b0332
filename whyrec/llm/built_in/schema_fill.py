"""Writing a valid answer to a JSON schema from whatever text is at hand.

The test models (echo, the loopback server) must give answers that any answer type accepts without knowing one. They
say what text they have; this module walks the schema and keeps every bound. It covers what pydantic writes for answer
types: objects, arrays, strings, numbers, booleans, null, enum, const, anyOf/oneOf, allOf with one member, $ref.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from whyrec.errors import UsageError

Node = Mapping[str, Any]


class Content:
    """What to write. Override what matters; `path` is the field's place, as in "reviews.2.text"."""

    def text(self, path: str, node: Node) -> str:
        """A string for this field; it is cut or padded to the field's bounds."""
        return path

    def texts(self, path: str, node: Node) -> Sequence[str]:
        """One string per entry for a list of strings; cut or repeated to the list's bounds."""
        return [self.text(path, node)]

    def count(self, path: str, node: Node) -> int:
        """How many entries a list of anything else gets, before its bounds."""
        return 1

    def choose(self, path: str, options: Sequence[Any]) -> Any:
        """One of the allowed values."""
        return options[0]

    def number(self, path: str, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        return low


def fill(schema: Node, content: Content) -> Any:
    """A value that the schema accepts.

    Raises:
        UsageError: the schema uses a keyword that is not covered.
    """
    return _Filler(schema, content).value(schema, "")


class _Filler:
    def __init__(self, root: Node, content: Content) -> None:
        self._root, self._content = root, content

    def value(self, node: Node, path: str) -> Any:
        node = self._resolve(node)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return self._among(node["enum"], path)
        for keyword in ("anyOf", "oneOf"):
            if keyword in node:
                return self.value(next((o for o in node[keyword] if o.get("type") != "null"), node[keyword][0]), path)
        kind = node.get("type", "object" if "properties" in node else "string")
        match kind:
            case "object":
                fields = node.get("properties", {})
                return {name: self.value(sub, f"{path}.{name}".lstrip(".")) for name, sub in fields.items()}
            case "array":
                return self._array(node, path)
            case "string":
                return self._clip(self._content.text(path, node), node)
            case "integer" | "number":
                return self._number(node, path, whole=kind == "integer")
            case "boolean":
                return bool(self._content.choose(path, (True, False)))
            case "null":
                return None
        raise UsageError(f"The field {path or 'of the answer'!r} has the JSON type {kind!r}, which cannot be filled.")

    def _among(self, options: Sequence[Any], path: str) -> Any:
        """One of the allowed values; where all are whole numbers (ids) the number for this place, if it is one."""
        if all(isinstance(option, int) and not isinstance(option, bool) for option in options):
            number = round(self._content.number(path, min(options), max(options)))
            if number in options:
                return number
        return self._content.choose(path, options)

    def _resolve(self, node: Node) -> Node:
        while True:
            if len(node.get("allOf", ())) == 1:
                node = {**node["allOf"][0], **{k: v for k, v in node.items() if k != "allOf"}}
            elif "$ref" in node:
                found: Any = self._root
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
                node = {**found, **{k: v for k, v in node.items() if k != "$ref"}}
            else:
                return node

    def _array(self, node: Node, path: str) -> list[Any]:
        low, high = node.get("minItems", 0), node.get("maxItems", 1_000)
        entry = self._resolve(node.get("items", {"type": "string"}))
        if "prefixItems" in node:
            return [self.value(sub, f"{path}.{i}") for i, sub in enumerate(node["prefixItems"])]
        if entry.get("type") == "string" and not {"enum", "const"} & entry.keys():
            texts = list(self._content.texts(path, node))[:high]
            texts += [f"{path} {i}" for i in range(len(texts), low)]
            return [self._clip(text, entry) for text in texts]
        count = min(max(self._content.count(path, node), low), high)
        return [self.value(entry, f"{path}.{i}") for i in range(count)]

    @staticmethod
    def _clip(text: str, node: Node) -> str:
        text = text[: node.get("maxLength", len(text))]
        return text.ljust(node.get("minLength", 0), "-")

    def _number(self, node: Node, path: str, *, whole: bool) -> float:
        step = 1 if whole else 1e-6
        low = node["exclusiveMinimum"] + step if "exclusiveMinimum" in node else node.get("minimum")
        high = node["exclusiveMaximum"] - step if "exclusiveMaximum" in node else node.get("maximum")
        floor, ceiling = -math.inf if low is None else low, math.inf if high is None else high
        if low is None:
            low = 0 if high is None else min(0, high)
        if high is None:
            high = low + 1  # a range to place a number in; ids lie beyond it and are kept
        number = min(max(self._content.number(path, low, high), floor), ceiling)
        return round(number) if whole else number
