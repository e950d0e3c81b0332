"""Answers: typed, bounded, and read from whatever shape a model wraps them in.

An answer type is a frozen pydantic model with a bound on every string and list. `answer_format` turns it into the
JSON schema that servers get; `read` climbs the parse ladder (spec 1.3, 10): strict JSON first, at pydantic's speed,
then every JSON object in the text, out of fences, prose, control characters and trailing commas, the last one that is
an answer; or tags, headers, bare text. What only says the example of the instructions again (`echoes`) is no answer.

What is unusual: an answer that is only too long is not wrong. Its strings and lists are cut at the bound, and `cut`
names the fields (spec 10). Whatever else is wrong raises `Misread` with a sentence that can be shown to the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, PrivateAttr, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from agents.objects import LONGEST, objects
from agents.sections import entries, headers, tags
from whyrec.llm.model import AnswerFormat, Reply

Kind: TypeAlias = Literal["text", "json", "tags", "headers"]
Place: TypeAlias = Literal["answer", "reasoning"]
_TOO_LONG = ("string_too_long", "too_long", "too_many_words")
_PASSES = 20  # over an answer with fields that are too long; two are the rule
_SETS = 20  # of sections that stand more than once
_ECHO = "it only says the example or the schema of the instructions again; answer about what stands in the blocks"
_ENTRIES = 500  # of a list that are looked at, more than the bound of any


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
    """The text is not the answer asked for. The message is a sentence for the model, `reason` one of `REASONS`."""

    def __init__(self, said: str, reason: str = "unreadable") -> None:
        super().__init__(said)
        self.reason = reason


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


def read(answer: type[AnswerT], kind: Kind, text: str, *, echoes: Sequence[Answer] = (), cut: bool = False) -> AnswerT:
    """The answer in a model's text: the last there is that keeps the rules and is no echo.

    Args:
        answer: the answer type.
        kind: the shape asked for.
        text: what the model said.
        echoes: what is no answer though it looks like one; see `echoes`.
        cut: the text was cut off, so an object inside another that never closes is a part of it.

    Raises:
        Misread: it is not there, or breaks a rule other than being too long.
    """
    if kind == "json":
        if len(text) > LONGEST or not _needed(answer):
            return _last_object(answer, text, echoes, cut)
        try:
            found = answer.model_validate_json(text)
        except ValidationError:
            return _last_object(answer, text, echoes, cut)
        if found in echoes:
            raise Misread(_ECHO, "example")
        return found
    if kind == "text":
        return _validate(answer, {_only(answer): text})
    return _last(answer, _sections(kind, text, answer), echoes)


def read_reply(
    answer: type[AnswerT], kind: Kind, reply: Reply, *, echoes: Sequence[Answer] = ()
) -> tuple[AnswerT, Place]:
    """The answer of a reply and where it stood: some servers hand the whole of it over as reasoning.

    Reasoning is looked into where there is nothing else and the model had come to an end. It has to name every field,
    since a thought may well speak of one; and a bare text is no answer there, because any thought is one.

    Raises:
        Misread: as `read`.
    """
    cut = reply.finish_reason == "length"
    if reply.text.strip() or not reply.reasoning.strip() or cut or kind == "text":
        return read(answer, kind, reply.text, echoes=echoes, cut=cut), "answer"
    try:
        found = read(answer, kind, reply.reasoning, echoes=echoes)
    except Misread as error:
        raise Misread(f"there is no answer, and none in the reasoning either: {error}", error.reason) from None
    if kind != "json" and (gone := answer.model_fields.keys() - found.model_fields_set):
        raise Misread(f"there is no answer, and the reasoning lacks {', '.join(sorted(gone))}")
    return found, "reasoning"


@lru_cache(maxsize=256)
def echoes(answer: type[Answer], kind: Kind, instructions: str) -> tuple[Answer, ...]:
    """What the instructions themselves hold that could be read as an answer: their examples.

    An example of numbers and single words (`{"answer": "no"}`) is left out: that may well be the answer.

    Args:
        answer: the answer type.
        kind: the shape asked for.
        instructions: the prompt's words to the model, without examples of answers in turns of their own.
    """
    if kind == "text":
        return ()
    found: list[Answer] = []
    for data in shown_objects(answer, kind, instructions):
        try:
            example = _validate(answer, data)
        except Misread:
            continue
        if any(" " in text for text in _texts(example.model_dump())):
            found.append(example)
    return tuple(found)


def shown_objects(answer: type[Answer], kind: Kind, instructions: str) -> list[dict[str, Any]]:
    """What stands in instructions in the shape of an answer, whole or not: placeholders and examples."""
    if kind == "json":
        return [data for data in _unwrapped(objects(instructions)) if answer.model_fields.keys() & data.keys()]
    try:
        return list(_sets(answer, _sections(kind, instructions, answer))) if kind != "text" else []
    except Misread:
        return []


def _texts(data: Any) -> Iterator[str]:
    """Every text inside plain data."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, (dict, list, tuple)):
        for inner in data.values() if isinstance(data, dict) else data:
            yield from _texts(inner)


def _last_object(answer: type[AnswerT], text: str, echoes: Sequence[Answer], cut: bool) -> AnswerT:
    """The last object that is an answer; where none is, what is wrong with the one that is most like one."""
    fields = answer.model_fields
    needed = _needed(answer)
    nearest: tuple[int, Any] = (-1, None)
    there = objects(text, cut=cut)
    own = [data for data in there if data not in _schemas(answer)]
    echo = len(own) < len(there)
    for data in reversed(list(_unwrapped(own))):
        known = len(fields.keys() & data.keys())
        if known and needed <= data.keys():
            try:
                found = _validate(answer, data)
            except Misread as error:
                if known > nearest[0]:
                    nearest = (known, error)
                continue
            if found not in echoes:
                return found
            echo = True
        elif known > nearest[0]:
            nearest = (known, data)
    if isinstance(nearest[1], Misread):
        raise nearest[1]
    if echo:
        raise Misread(_ECHO, "example")
    return _validate(answer, nearest[1] if nearest[1] is not None else _find_object(text))


@lru_cache(maxsize=256)
def _needed(answer: type[Answer]) -> frozenset[str]:
    """The fields that every answer has."""
    return frozenset(name for name, info in answer.model_fields.items() if info.is_required())


@lru_cache(maxsize=256)
def _schemas(answer: type[Answer]) -> tuple[dict[str, Any], ...]:
    """The answer type's schema, as it is sent and as pydantic makes it."""
    schema = answer.model_json_schema()
    return schema, _simplify(schema, schema.get("$defs", {}))


def _unwrapped(found: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Objects and, before each, what it only wraps: `{"answer": {...}}`, or a schema with values in its properties."""
    for data in found:
        yield from (value for value in data.values() if isinstance(value, dict))
        yield data


def _last(answer: type[AnswerT], found: Mapping[str, Sequence[str]], echoes: Sequence[Answer]) -> AnswerT:
    """The last set of sections that is an answer; where none is, what is wrong with the last."""
    wrong: Misread | None = None
    for data in _sets(answer, found):
        try:
            valid = _validate(answer, data)
        except Misread as error:
            wrong = wrong or error
            continue
        if valid not in echoes:
            return valid
        wrong = wrong or Misread(_ECHO, "example")
    assert wrong is not None
    raise wrong


def _sets(answer: type[Answer], found: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """The last section of every field, then the last but one of each, and so on; of a field with fewer, its first."""
    lists = {f for f, info in answer.model_fields.items() if get_origin(info.annotation) is tuple}
    for back in range(1, min(_SETS, max(map(len, found.values()))) + 1):
        texts = {f: some[-back] if back <= len(some) else some[0] for f, some in found.items()}
        yield {f: entries(t) if f in lists else t.strip() for f, t in texts.items()}


def _validate(answer: type[AnswerT], data: Any) -> AnswerT:
    """Validate, cutting what is only too long; what is wrong besides may only show, or go, once that is cut."""
    _bound(data)
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


def _bound(data: Any) -> None:
    """Cut lists far beyond every bound, because each of their entries would be told wrong."""
    if isinstance(data, list):
        del data[_ENTRIES:]
    if isinstance(data, (dict, list)):
        for inner in data.values() if isinstance(data, dict) else data:
            _bound(inner)


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
    """The JSON object in a text without any whole one: what is between its first and its last brace."""
    start = text.find("{")
    if start < 0:
        raise Misread("there is no JSON object in it")
    stop = text.rfind("}") + 1
    try:
        return json.JSONDecoder(strict=False).raw_decode(text[start : stop if stop > start else None])[0]
    except json.JSONDecodeError as error:
        raise Misread(f"it is not JSON: {error.msg} at character {start + error.pos}") from None
    except (ValueError, RecursionError):
        raise Misread("it is not JSON that can be read: a number or the nesting is too long") from None


def _sections(kind: Kind, text: str, answer: type[Answer]) -> dict[str, list[str]]:
    """The texts that stand under each field, in order."""
    fields = tuple(answer.model_fields)
    found = tags(text, fields) if kind == "tags" else headers(text, fields)
    if not found:
        said = (f"<{f}>" for f in fields) if kind == "tags" else (f"## {f}" for f in fields)
        raise Misread(f"it has none of the {kind} {', '.join(said)}")
    return found


def _only(answer: type[Answer]) -> str:
    fields = tuple(answer.model_fields)
    assert len(fields) == 1, "a bare text answers exactly one field"
    return fields[0]


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
