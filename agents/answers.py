"""Answers: typed, bounded, and read from whatever shape a model wraps them in.

An answer type is a frozen pydantic model with a bound on every string and list. `answer_format` turns it into the
JSON schema that servers get; `read` climbs the parse ladder (spec 1.3, 10): strict JSON first, at pydantic's speed,
then the same JSON out of fences, prose, control characters and trailing commas; or tags, headers, bare text.

What is unusual: an answer that is only too long is not wrong. Its strings and lists are cut at the bound, and `cut`
names the fields (spec 10). Whatever else is wrong raises `Misread` with a sentence that can be shown to the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, PrivateAttr, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from whyrec.llm.model import AnswerFormat

Kind: TypeAlias = Literal["text", "json", "tags", "headers"]
_TOO_LONG = ("string_too_long", "too_long", "too_many_words")
_COMMA = re.compile(r",(\s*[}\]])")
_PASSES = 20  # over an answer with fields that are too long; two are the rule
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")


class Answer(BaseModel):
    """What a model answered. Strings are stripped; fields nobody asked for are ignored."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True, extra="ignore")
    schema_version: ClassVar[int] = 1
    _cut: tuple[str, ...] = PrivateAttr(default=())

    @property
    def cut(self) -> tuple[str, ...]:
        """Fields that were longer than their bound and were cut, such as "items.3.text"."""
        return self._cut


AnswerT = TypeVar("AnswerT", bound=Answer)


class Misread(ValueError):
    """The text is not the answer asked for. The message is a sentence for the model."""


@dataclass(frozen=True)
class Words:
    """A bound on the words of a string, for an Annotated type; not part of the schema, which cannot say it."""

    most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate the string, then count its words."""
        return core_schema.no_info_after_validator_function(self._count, handler(source))

    def _count(self, text: str) -> str:
        if text.count(" ") >= self.most and len(text.split()) > self.most:
            bound = {"max_words": self.most}
            raise PydanticCustomError("too_many_words", "String should have at most {max_words} words", bound)
        return text


def answer_format(answer: type[Answer], kind: Kind) -> AnswerFormat:
    """The shape to ask a server for, with the answer type's schema as canonical JSON text (fields in class order)."""
    if kind == "text":
        return AnswerFormat("text", answer.__name__)
    schema = answer.model_json_schema()
    plain = _simplify(schema, schema.get("$defs", {}))
    return AnswerFormat(kind, answer.__name__, json.dumps(plain, ensure_ascii=False, separators=(",", ":")))


def read(answer: type[AnswerT], kind: Kind, text: str) -> AnswerT:
    """The answer in a model's text.

    Raises:
        Misread: it is not there, or breaks a rule other than being too long.
    """
    if kind == "json":
        try:
            return answer.model_validate_json(text)
        except ValidationError:
            return _validate(answer, _find_object(text))
    fields = tuple(answer.model_fields)
    found = {"tags": _tags, "headers": _headers, "text": _text}[kind](text, fields)
    lists = {f for f, info in answer.model_fields.items() if get_origin(info.annotation) is tuple}
    return _validate(answer, {f: _entries(t) if f in lists else t.strip() for f, t in found.items()})


def _validate(answer: type[AnswerT], data: Any) -> AnswerT:
    """Validate, cutting what is only too long; what is wrong besides may only show, or go, once that is cut."""
    cut: list[str] = []
    for _ in range(_PASSES):
        try:
            valid = answer.model_validate(data)
        except ValidationError as error:
            problems = error.errors(include_url=False)
            too_long = [p for p in problems if p["type"] in _TOO_LONG]
            if not too_long:
                raise Misread(_say(problems)) from None
            for problem in too_long:
                _shorten(data, problem)
                cut.append(".".join(map(str, problem["loc"])))
        else:
            if cut:
                valid._cut = tuple(dict.fromkeys(cut))
            return valid
    raise AssertionError(f"a validator of {answer.__name__} makes longer again what is cut to its bound")


def _shorten(data: Any, problem: ErrorDetails) -> None:
    """Cut the value the problem is about, inside `data`, to its bound; so every pass makes an answer shorter."""
    *path, last = problem["loc"]
    for step in path:
        data = data[step]
    value, bounds = data[last], problem.get("ctx", {})
    if problem["type"] == "too_many_words":
        data[last] = " ".join(value.split()[: bounds["max_words"]])
    elif problem["type"] == "too_long":
        data[last] = list(value)[: bounds["max_length"]]
    else:
        text = value.strip()[: bounds["max_length"] + 1]
        at = text.rfind(" ")
        data[last] = text[:at] if at > len(text) // 2 else text[:-1]


def _say(problems: list[ErrorDetails]) -> str:
    """Up to five problems in one sentence, in the model's own field names."""
    said = [f"{'.'.join(map(str, p['loc'])) or 'the answer'}: {p['msg']}" for p in problems[:5]]
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return "; ".join(said) + more


def _find_object(text: str) -> Any:
    """The JSON object in a text: as it is, without what stands around it, without trailing commas."""
    start = text.find("{")
    if start < 0:
        raise Misread("there is no JSON object in it")
    stop = text.rfind("}") + 1
    body = text[start : stop if stop > start else None]
    complaint = "it is not JSON"
    for attempt in (body, _COMMA.sub(r"\1", body)):
        try:
            return json.JSONDecoder(strict=False).raw_decode(attempt)[0]
        except json.JSONDecodeError as error:
            complaint = f"it is not JSON: {error.msg} at character {start + error.pos}"
        except (ValueError, RecursionError):
            complaint = "it is not JSON that can be read: a number or the nesting is too long"
    raise Misread(complaint)


def _tags(text: str, fields: tuple[str, ...]) -> dict[str, str]:
    """The last `<field>...</field>` of each field; a missing closing tag ends at the next tag or the end."""
    found = {}
    any_tag = "|".join(map(re.escape, fields))
    for field in fields:
        spans = re.findall(rf"<{re.escape(field)}>(.*?)(?=</?(?:{any_tag})>|\Z)", text, re.DOTALL | re.IGNORECASE)
        if spans:
            found[field] = spans[-1]
    if not found:
        raise Misread("it has none of the tags " + ", ".join(f"<{f}>" for f in fields))
    return found


def _headers(text: str, fields: tuple[str, ...]) -> dict[str, str]:
    """The text under each header `## field` (or `field:`, or bold), up to the next; the last of equal headers wins."""
    names = {f.replace("_", " "): f for f in fields}
    any_name = "|".join(re.escape(n).replace(r"\ ", "[ _]") for n in names)
    pattern = rf"^[ \t]*(?:#{{1,6}}[ \t]*|(?=\w+[^\n]*:)|(?=\*\*))\**({any_name})\**[ \t]*:?\**[ \t]*"
    marks = list(re.finditer(pattern, text, re.MULTILINE | re.IGNORECASE))
    if not marks:
        raise Misread("it has none of the headers " + ", ".join(f"## {f}" for f in fields))
    stops = [m.start() for m in marks[1:]] + [len(text)]
    return {names[m[1].lower().replace("_", " ")]: text[m.end() : stop] for m, stop in zip(marks, stops, strict=True)}


def _text(text: str, fields: tuple[str, ...]) -> dict[str, str]:
    assert len(fields) == 1, "a bare text answers exactly one field"
    return {fields[0]: text}


def _entries(text: str) -> list[str]:
    """A list written as lines, or with commas on a single line; bullets and numbers in front go."""
    lines = [line for line in text.splitlines() if line.strip()]
    parts = lines if len(lines) > 1 else text.split(",")
    return [entry for part in parts if (entry := _BULLET.sub("", part).strip())]


def _simplify(node: Any, defs: Mapping[str, Any]) -> Any:
    """A schema without references, titles and defaults, where objects are closed and require all their fields."""
    if isinstance(node, list):
        return [_simplify(n, defs) for n in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _simplify(defs[node["$ref"].rsplit("/", 1)[-1]] | {k: v for k, v in node.items() if k != "$ref"}, defs)
    plain = {k: v for k, v in node.items() if k not in ("$defs", "title", "default", "properties")}
    plain = {k: _simplify(v, defs) for k, v in plain.items()}
    if "properties" in node:
        plain["properties"] = {name: _simplify(v, defs) for name, v in node["properties"].items()}
        plain |= {"required": list(node["properties"]), "additionalProperties": False}
    return plain


def complaints(answer: type[Answer], kind: Kind, instructions: str) -> list[str]:
    """What is wrong with an answer type for a prompt: fields without bound or description, or never told to the model.

    Args:
        answer: the answer type.
        kind: the shape the prompt asks for.
        instructions: the prompt's static text; servers may ignore a schema, so it must name every field.
    """
    schema = answer.model_json_schema()
    plain = _simplify(schema, schema.get("$defs", {}))
    said = list(_unbounded(plain, answer.__name__))
    for name, field in plain["properties"].items():
        if "description" not in field:
            said.append(f"{answer.__name__}.{name} has no description")
        if kind in ("json", "headers") and name not in instructions:
            said.append(f"the instructions never name the field {name!r} of {answer.__name__}")
        if kind != "json" and ("properties" in field or "properties" in field.get("items", {})):
            said.append(f"{answer.__name__}.{name} is nested, which only json can carry")
    if kind == "text" and len(plain["properties"]) != 1:
        said.append(f"{answer.__name__} has {len(plain['properties'])} fields, but a bare text answers one")
    return said


def _unbounded(node: dict[str, Any], path: str) -> Iterator[str]:
    """Strings and lists of a plain schema without an upper bound."""
    closed = "enum" in node or "const" in node
    if node.get("type") == "string" and "maxLength" not in node and not closed:
        yield f"{path} is text without max_length"
    if node.get("type") == "array":
        if "maxItems" not in node:
            yield f"{path} is a list without max_length"
        yield from _unbounded(node.get("items", {}), f"{path}[]")
    for name, child in node.get("properties", {}).items():
        yield from _unbounded(child, f"{path}.{name}")
    for child in node.get("anyOf", ()):
        yield from _unbounded(child, path)
