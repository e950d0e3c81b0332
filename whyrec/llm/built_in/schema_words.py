"""What the names and descriptions of an answer's schema ask for: how many words, a yes or a no, the id of a line."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from whyrec.llm.built_in.blocks import tokens
from whyrec.llm.built_in.extract_rank import stem
from whyrec.llm.built_in.schema_fill import Node

MOST_WORDS: Final = re.compile(r"(?:at most|up to|no more than|<=) ?(\w+) words", re.IGNORECASE)
_NUMBERS: Final = {"three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_YES: Final = frozenset({"yes", "true", "like", "likes", "positive", "relevant"})
_NO: Final = frozenset({"no", "false", "dislike", "dislikes", "negative", "irrelevant", "not"})
ENTRY: Final = re.compile(r"^(.*?)\.(\d+)(?:\.|$)")
_PROSE: Final = 40  # words asked for at most from which a text is sentences
_ENDS: Final = re.compile(r"[.!?;:\n]+")


def is_yes(option: str) -> bool:
    """Whether an option agrees."""
    return not _YES.isdisjoint(tokens(option)) and not is_no(option)


def is_no(option: str) -> bool:
    """Whether an option disagrees."""
    return not _NO.isdisjoint(tokens(option))


def number_word(text: str, unknown: int) -> int:
    """A number written in digits or in letters up to ten."""
    return int(text) if text.isdecimal() else _NUMBERS.get(text.lower(), unknown)


def resolve(root: Node, node: Node) -> Node:
    """A schema node without its reference."""
    while "$ref" in node:
        found: Any = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def is_id(name: str) -> bool:
    """Whether a field's name says that it names a line."""
    return name in ("id", "index", "number", "item") or name.endswith(("_id", "_index"))


@lru_cache(maxsize=8_192)
def words_of(text: str) -> frozenset[str]:
    """Stems of the words of a text, each once."""
    return frozenset(stem(t) for t in tokens(text))


def field_words(path: str, node: Node) -> frozenset[str]:
    """Stems of a field's own name and description."""
    name = next((p for p in reversed(path.split(".")) if not p.isdecimal()), "")
    return words_of(f"{name.replace('_', ' ')} {node.get('description', '')}")


def limits(node: Node, scale: float) -> tuple[int, int]:
    """(words, characters) a text may have."""
    most = min(int(node.get("maxLength", 600)), 1_200)
    words = asked_words(node, most)
    return max(1, int(words * scale)), max(1, int(most * scale))


def asked_words(node: Node, unknown: int = 0) -> int:
    """How many words a field's description asks for at most."""
    said = MOST_WORDS.search(node.get("description", ""))
    return number_word(said[1], unknown) if said else unknown


def filled_up(text: str, asked: int, name: str) -> str:
    """A text, with a sentence that says so where what was shown is too little for as many words as were asked for."""
    parts = [len(part.split()) for part in _ENDS.split(text)]
    if sum(parts) >= asked // 10 and (asked < _PROSE or max(parts) > 3):
        return text
    return f"{text.rstrip(' .')}. Nothing more can be said of the {name} from what was shown here.".lstrip(". ")
