"""The head of a prompt file: YAML read for what it is, and every fault of it a sentence that names the field.

YAML turns text into other things: `no` is false, 2020-01-31 a date, 1:30 ninety, and of two equal keys the last one
wins without a word. So the text is only parsed into nodes here, never constructed: keys are text, values are text,
numbers, lists and mappings, and whatever YAML would make of anything else (`Odd`) is told to the author, with what to
do about it. An anchor could make a page out of a line a billion times; none is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import yaml

from whyrec.llm.model import Sampling, Thinking

Format: TypeAlias = Literal["json", "tags", "headers", "text"]
KEYS = ("name", "description", "answer", "format", "sampling", "variables")
MAY = ("thinking",)  # keys that prompts made before did not have
THOUGHT = 4096  # tokens a thought may take beside the answer, where a prompt lets its model think and says no number
MOST = 16_384  # characters of front matter
_SAMPLING_KEYS = ("temperature", "top_p", "max_tokens", "stop", "seed", "thinking_tokens")
_BOUNDS = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, 131_072), "seed": (0, 2**63 - 1)}
_BOUNDS |= {"thinking_tokens": (0, 131_072)}
_WHOLE = ("max_tokens", "seed", "thinking_tokens")
_DEEPEST = 4  # a list inside the sampling inside the front matter
_NESTED = 40  # brackets that may be open at once, those in texts included
_FIRST_LINE = 2  # of the file: the one after ---
_TAG = "tag:yaml.org,2002:"
_READ_AS = {"bool": "a yes or no", "timestamp": "a date", "binary": "bytes", "int": "a number", "float": "a number"}
_DECIMAL = re.compile(r"[-+]?\d{1,18}\Z")


class Odd(NamedTuple):
    """A value that is neither text nor a plain number: how it is written, and what YAML takes it for."""

    text: str
    kind: str

    def __str__(self) -> str:
        return f"not {shown(self.text)}, which YAML reads as {self.kind} (put text in quotes)"


class _Unusable(Exception):
    """The sentence on why the front matter cannot be read at all."""


def read(text: str) -> tuple[dict[str, Any], list[str]]:
    """What stands in the front matter, and everything that is wrong with it."""
    try:
        head = _read(text)
    except _Unusable as error:
        return {}, [str(error)]
    return head, list(_problems(head))


def sampling(head: Mapping[str, Any]) -> Sampling:
    """How to draw an answer, from a front matter without problems."""
    given = {**head["sampling"], "stop": tuple(head["sampling"].get("stop") or ())}
    if "thinking" in head:
        given["thinking"] = mode = str(_word(head["thinking"]))
        given.setdefault("thinking_tokens", 0 if mode == "off" else THOUGHT)
    return Sampling(**given)


def _word(value: Any) -> Any:
    """`on` and `off` as they are written, which YAML takes for a yes and a no."""
    return value.text if isinstance(value, Odd) and value.text in get_args(Thinking) else value


def shown(text: str) -> str:
    """The beginning of something somebody wrote, for a sentence."""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def _read(text: str) -> dict[str, Any]:
    if len(text) > MOST:
        raise _Unusable(f"its front matter has {len(text):,} characters, of which {MOST:,} are the most")
    if _nesting(text) > _NESTED:  # the parser would take its time to find out
        raise _Unusable("its front matter is nested too deeply")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _Unusable(f"its front matter is not YAML ({' '.join(str(error).split())[:300]})") from None
    except RecursionError:
        raise _Unusable("its front matter is nested too deeply") from None
    except (ValueError, OverflowError) as error:  # escapes that are no character
        raise _Unusable(f"its front matter is not YAML ({error})") from None
    if not isinstance(node, yaml.MappingNode):
        raise _Unusable("its front matter is not a mapping")
    found = _value(node, (), set())
    assert isinstance(found, dict)
    return found


def _nesting(text: str) -> int:
    """How many brackets are open at once, at most."""
    deepest = depth = 0
    for mark in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if mark in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _value(node: yaml.Node, path: tuple[str, ...], seen: set[int]) -> Any:
    """Plain data of a node; `path` leads to it."""
    where = f"{'.'.join(path) or 'the front matter'} (line {node.start_mark.line + _FIRST_LINE})"
    if id(node) in seen:
        raise _Unusable(f"{where} repeats a part by an alias (*name), which front matter may not")
    seen.add(id(node))
    if len(path) > _DEEPEST:
        raise _Unusable(f"{where} is nested too deeply")
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*path, str(place)), seen) for place, child in enumerate(node.value, 1)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Unusable(f"{where} has a key that is a list or a mapping; keys are words")
            if key.value in found:
                line = key.start_mark.line + _FIRST_LINE
                raise _Unusable(f"{where} has the key {shown(key.value)} a second time in line {line}")
            found[key.value] = _value(value, (*path, key.value[:60]), seen)
        return found
    return _scalar(node)


def _scalar(node: yaml.Node) -> str | int | float | Odd | None:
    written, kind = str(node.value), node.tag.removeprefix(_TAG)
    if kind == "str":
        return written
    if kind == "null":
        return None
    if kind == "int" and _DECIMAL.match(written):
        return int(written)
    if kind == "float":
        try:
            return float(written)
        except ValueError:  # .inf, 1:30.5
            pass
    return Odd(written, _READ_AS.get(kind, f"{node.tag[:40]}"))


def _problems(head: Mapping[str, Any]) -> Iterator[str]:
    for key in head:
        if key not in (*KEYS, *MAY):
            yield f"the front matter key {shown(key)} is unknown (there are {', '.join((*KEYS, *MAY))})"
    for key in KEYS:
        if key not in head:
            yield f"the front matter lacks {key!r}"
    for key in ("name", "description", "answer", "format"):
        if key in head and not isinstance(head[key], str):
            yield f"{key!r} must be text, {_but(head[key])}"
    if isinstance(form := head.get("format", "json"), str) and form not in get_args(Format):
        yield f"format {shown(form)} is none of {', '.join(get_args(Format))}"
    if "thinking" in head and (mode := _word(head["thinking"])) not in get_args(Thinking):
        yield f"thinking must be one of {', '.join(get_args(Thinking))}, {_but(mode)}"
    yield from _variable_problems(head.get("variables"))
    yield from _sampling_problems(head.get("sampling"))


def _variable_problems(given: Any) -> Iterator[str]:
    if given is None:
        return
    if not isinstance(given, dict):
        yield f"variables must map every blank to a sentence on what it is, {_but(given)}"
        return
    for name, told in given.items():
        if not isinstance(told, str) or not told:
            yield f"the variable {shown(name)} must be given a sentence on what it is, {_but(told)}"


def _sampling_problems(given: Any) -> Iterator[str]:
    if not isinstance(given, dict) or "max_tokens" not in given:
        yield "sampling must be a mapping with at least max_tokens"
        return
    for key, value in given.items():
        if key not in _SAMPLING_KEYS:
            yield f"the sampling key {shown(key)} is unknown (there are {', '.join(_SAMPLING_KEYS)})"
        elif key == "stop":
            if isinstance(value, list):
                wrong = [entry for entry in value if not isinstance(entry, str) or not entry]
                yield from (f"an entry of sampling stop must be text, {_but(entry)}" for entry in wrong[:1])
            elif value is not None:
                yield f"sampling stop must be a list of texts, {_but(value)}"
        elif not (key == "seed" and value is None):
            low, high = _BOUNDS[key]
            kinds = (int,) if key in _WHOLE else (int, float)
            if not (isinstance(value, kinds) and low <= value <= high):
                yield f"sampling {key} must be a {'whole ' * (key in _WHOLE)}number from {low} to {high}, {_but(value)}"


def _but(value: Any) -> str:
    """How a sentence on a wrong value ends."""
    if isinstance(value, Odd):
        return str(value)
    if value is None:
        return "not empty"
    if isinstance(value, (list, dict)):
        return f"not a {'list' if isinstance(value, list) else 'mapping'}"
    return f"not {shown(value)}" if isinstance(value, str) else f"not the number {value}"
