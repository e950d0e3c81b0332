"""Whether an answer that can be read is an answer: what every agent's answer has to be, in one place.

A weak model fills the form it was shown without answering: it copies the placeholder or the example, writes four words
where sixty were asked for, gives one keyword eight times, or goes round in a loop. Such an answer has the right type,
so only a look at what it says tells. `flaw` looks; the agent shows the model what is wrong, asks once more and then
gives up, and the reason is counted (`whyrec.llm.model.REASONS`).

What a field has to be stands beside its type, as `Asked(...)` in its Annotated metadata. A bound on words says much of
it already: of "at most 60 words" five are too few to be that answer, and so many words are sentences. Everything else
holds for every field: no text that only repeats what the instructions say, no loops, no entry of a list twice.

Unusual: an example in the instructions that is itself no usable answer, or says how to write one, is a placeholder
({"text": "the review"}), and nothing of it may come back. A filled example may agree with an answer in a few words, but
not in a whole text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias, get_args, get_origin

from agents.answers import Answer, Kind, Misread, Words, read, shown_objects
from agents.folded import count, fold, has_sentence, loop
from whyrec.llm.model import Unusable

Mask: TypeAlias = Callable[[str], str]
_PART = 10  # of the words asked for at most, one in so many has to be there
_PROSE = 40  # words asked for at most from which the answer is sentences
_COPIED = 5  # words in a row that stand in the instructions and are therefore theirs
_SAME = 4  # words of an example's text that an answer of its own does not have
_LONG = 8  # words of a text that does not stand in three fields
_TOLD = 3  # flaws told at once
_TOLD_HOW = re.compile(r"^(?:the|what|who|why|how) \w|\bat most \w+ words\b|\bin a few words\b|\bshort phrases\b")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Asked:
    """What is asked of a field beside its type. Not part of the schema, which cannot say it.

    Attributes:
        least: words of a text; None for what follows from its bound.
        sentence: whether a text has to have a sentence; None for what follows from its bound.
        distinct: share of a list's entries that have to differ.
        masked: words of a text that have to be left where a name in it is hidden; 0 where none is.
    """

    least: int | None = None
    sentence: bool | None = None
    distinct: float = 1.0
    masked: int = 0


@dataclass(frozen=True)
class Shown:
    """What a prompt's instructions say that is no answer.

    Attributes:
        text: all of it, folded.
        placeholders, examples: field -> what stands there, folded, of placeholders and of filled examples.
    """

    text: str = ""
    placeholders: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    examples: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def kind(self) -> Literal["placeholder", "example"]:
        """What an answer is a copy of that is all that the instructions show."""
        return "placeholder" if not self.examples else "example"


NOTHING = Shown()


@dataclass(frozen=True)
class _Field:
    name: str
    kind: Literal["text", "texts", "objects"]
    asked: Asked
    least: int
    sentence: bool
    inner: type[Answer] | None = None


class _Text(NamedTuple):
    """A text of an answer; `key` is it as it is compared with the instructions."""

    path: str
    of: _Field
    text: str
    key: str


def flaw(answer: Answer, shown: Shown = NOTHING, mask: Mask | None = None) -> Unusable | None:
    """Why an answer is none, or None where it is one.

    Args:
        answer: as it was read.
        shown: what the instructions say; see `shown`.
        mask: takes a name out of a text, where one has to be hidden.
    """
    found = list(_flaws(answer, shown, mask))[:_TOLD]
    if not found:
        return None
    return Unusable(found[0].reason, "; ".join(dict.fromkeys(one.said for one in found)))


@lru_cache(maxsize=256)
def shown(answer: type[Answer], kind: Kind, instructions: str) -> Shown:
    """What a prompt says that an answer must not say again: its words, placeholders, examples and field descriptions.

    Args:
        answer: the answer type.
        kind: the shape asked for.
        instructions: the prompt's words to the model.
    """
    placeholders: dict[str, set[str]] = {}
    examples: dict[str, set[str]] = {}
    for data in shown_objects(answer, kind, instructions):
        filled = _is_filled(answer, kind, data)
        for name, text in _strings(data):
            (examples if filled else placeholders).setdefault(name, set()).add(_key(text))
    for name, said in _descriptions(answer):
        placeholders.setdefault(name, set()).add(_key(said))
    frozen = [{name: frozenset(texts) for name, texts in found.items()} for found in (placeholders, examples)]
    return Shown(f" {_key(instructions)} ", *frozen)


def _key(text: str) -> str:
    """Words alone; which numbers they name makes no difference."""
    return _DIGITS.sub("0", fold(text))


def _is_filled(answer: type[Answer], kind: Kind, data: Mapping[str, Any]) -> bool:
    """Whether what the instructions show is a whole usable answer, and so an example, no placeholder."""
    if any(_TOLD_HOW.search(text) for _, text in _strings(data)):
        return False
    try:
        found = answer.model_validate(data) if kind != "json" else read(answer, kind, json.dumps(data))
    except (Misread, ValueError):
        return False
    return flaw(found) is None


def _flaws(answer: Answer, shown: Shown, mask: Mask | None) -> Iterator[Unusable]:
    texts = list(_texts(answer))
    yield from _echoes(texts, shown)
    for one in texts:
        yield from _of_text(one, mask)
    yield from _same_texts(texts)
    yield from _repeats(answer, "")


def _echoes(texts: list[_Text], shown: Shown) -> Iterator[Unusable]:
    """Texts that the instructions already say; short ones of a list only where all of the list is theirs."""
    told = [one for one in texts if " " in one.key]
    copied = [one for one in told if one.key in shown.examples.get(one.of.name, ())]
    lists: dict[str, list[_Text]] = {}
    for one in texts:
        if one.of.kind == "texts":
            lists.setdefault(one.path.rpartition(".")[0], []).append(one)
    for one in told:
        size = one.key.count(" ") + 1
        whole = one.of.kind == "text" or size >= _SAME
        if whole and one.key in shown.placeholders.get(one.of.name, ()):
            yield _echo("placeholder", one.path, "only repeats the placeholder of the instructions")
        elif one in copied and (size >= _SAME or len(copied) == len(told)):
            yield _echo("example", one.path, "only repeats the example of the instructions")
        elif size >= _COPIED and f" {one.key} " in shown.text:
            yield _echo("placeholder", one.path, "only repeats words of the instructions")
    for path, entries in lists.items():
        keys, name = {one.key for one in entries}, entries[0].of.name
        if keys <= shown.placeholders.get(name, frozenset()) and any(" " in key for key in keys):
            yield _echo("placeholder", path, "only repeats the placeholder of the instructions")
        elif len(entries) > 1 and keys <= shown.examples.get(name, frozenset()):
            yield _echo("example", path, "only repeats the example of the instructions")


def _echo(reason: str, path: str, said: str) -> Unusable:
    return Unusable(reason, f"{path} {said}; answer about what stands in the blocks")


def _of_text(one: _Text, mask: Mask | None) -> Iterator[Unusable]:
    """What is wrong with one text by itself."""
    size, of = count(one.text), one.of
    if size < of.least:
        yield Unusable("too_short", f"{one.path} has {size} words, which is too few: {of.least} are the least")
        return
    if of.sentence and not has_sentence(one.text):
        yield Unusable("no_sentence", f"{one.path} has no sentence; write whole sentences")
        return
    if again := loop(one.text):
        yield Unusable("loops", f"{one.path} says the same again and again ({again[:80]}); say everything once")
    if mask is not None and of.asked.masked and (left := count(mask(one.text))) < of.asked.masked:
        yield Unusable(
            "masked_away",
            f"{one.path} says hardly anything beside a name that must not be given ({left} other words); give reasons",
        )


def _same_texts(texts: list[_Text]) -> Iterator[Unusable]:
    """One long text in three fields and more, as where every section of a chain says the same."""
    long: dict[str, list[str]] = {}
    for one in texts:
        if one.of.kind == "text" and "." not in one.path and count(one.text) >= _LONG:
            long.setdefault(fold(one.text), []).append(one.path)
    for paths in long.values():
        if len(paths) > 2:
            yield Unusable("repeats", f"{', '.join(paths)} all say the same")


def _repeats(answer: Answer, path: str) -> Iterator[Unusable]:
    """Lists that say one thing more than once."""
    for one in _fields(type(answer)):
        value = getattr(answer, one.name)
        if one.kind == "texts":
            yield from _few(f"{path}{one.name}", [fold(text) for text in value], one.asked.distinct)
        elif one.kind == "objects":
            assert one.inner is not None
            for inner in _fields(one.inner):
                if inner.kind == "text":
                    entries = [fold(getattr(entry, inner.name)) for entry in value]
                    yield from _few(f"the {inner.name} of {path}{one.name}", entries, one.asked.distinct)
            for place, entry in enumerate(value):
                yield from _repeats(entry, f"{path}{one.name}.{place}.")


def _few(path: str, entries: list[str], share: float) -> Iterator[Unusable]:
    again = [entry for entry in dict.fromkeys(entries) if entries.count(entry) > 1]
    if again and len(set(entries)) < share * len(entries):
        said = ", ".join(entry[:60] for entry in again[:3])
        yield Unusable("repeats", f"{path} says the same more than once ({said}); every entry has to differ")


def _texts(answer: Answer, path: str = "") -> Iterator[_Text]:
    """Every text that was given, with its place; sections that may be left out and are do not count."""
    for one in _fields(type(answer)):
        value, place = getattr(answer, one.name), f"{path}{one.name}"
        if one.kind == "text":
            if value or type(answer).model_fields[one.name].is_required():
                yield _Text(place, one, value, _key(value))
        elif one.kind == "texts":
            yield from (_Text(f"{place}.{number}", one, text, _key(text)) for number, text in enumerate(value))
        else:
            for number, entry in enumerate(value):
                yield from _texts(entry, f"{place}.{number}.")


@lru_cache(maxsize=256)
def _fields(answer: type[Answer]) -> tuple[_Field, ...]:
    """The fields of an answer type that hold texts, and what is asked of them."""
    found = []
    for name, info in answer.model_fields.items():
        told = list(info.metadata)
        kind, inner = _kind(info.annotation, told)
        if kind is None:
            continue
        asked = next((m for m in told if isinstance(m, Asked)), Asked())
        most = next((m.most for m in told if isinstance(m, Words)), 0)
        least = asked.least if asked.least is not None else most // _PART
        sentence = asked.sentence if asked.sentence is not None else most >= _PROSE
        found.append(_Field(name, kind, asked, least, sentence, inner))
    return tuple(found)


def _kind(annotation: Any, told: list[Any]) -> tuple[Literal["text", "texts", "objects"] | None, type[Answer] | None]:
    """(kind of a field, type of its entries); what is said of a list's texts is added to what is said of the list."""
    if annotation is str:
        return "text", None
    if get_origin(annotation) is not tuple:
        return None, None
    entry, *more = get_args(get_args(annotation)[0]) or (get_args(annotation)[0],)
    if isinstance(entry, type) and issubclass(entry, Answer):
        return "objects", entry
    told += [m for m in more if not hasattr(m, "metadata")]
    for m in more:
        told += getattr(m, "metadata", ())
    return ("texts", None) if entry is str else (None, None)


def _strings(data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(field, text) of every text in plain data."""
    if isinstance(data, str):
        yield name, data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _strings(value, key)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from _strings(value, name)


def _descriptions(answer: type[Answer]) -> Iterator[tuple[str, str]]:
    """(field, description) of every field of text."""
    for one in _fields(answer):
        if said := answer.model_fields[one.name].description:
            yield one.name, said
        if one.inner is not None:
            yield from _descriptions(one.inner)
