"""Filling an answer's fields from what a prompt talks about: the writing half of the extractive model.

Which part of the prompt a field is about follows from the schema and the blocks alone. A list of objects with an id
speaks of the marked lines of one block, an entry each; a block of a single record is the subject of everything else;
lines that are offered (marks in brackets) are compared with the rest. Words in a field's name and description choose
among list entries, phrases and sentences ("type", "who for", "new") and set its length ("at most 60 words").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from whyrec.llm.built_in.blocks import Block, Line, sentences, tokens
from whyrec.llm.built_in.extract_rank import (
    Ranked,
    entries,
    likeness,
    line_stems,
    phrases,
    quotable,
    rank,
    rarity,
    stem,
    stems,
)
from whyrec.llm.built_in.schema_fill import Content, Node
from whyrec.llm.built_in.schema_words import (
    ENTRY,
    asked_words,
    field_words,
    filled_up,
    is_id,
    is_no,
    is_yes,
    limits,
    resolve,
    words_of,
)

_KINDS: Final = frozenset({"type", "kind", "category", "genre"})
_WHO: Final = frozenset({"who", "audience", "whom"})
_BOTH: Final = frozenset({"kept", "keep", "still", "shared", "common", "stable"})
_GONE: Final = frozenset({"dropped", "drop", "removed", "longer", "gone"})
_FRESH: Final = frozenset({"added", "add", "new"})
_DEEP: Final = 6
_LONG: Final = 5  # words, with one space more, from which a piece counts as said where another holds it
_PART: Final = 6  # one in so many of the words that a text may have


@dataclass(frozen=True)
class Reading:
    """A prompt sorted into what is asked about and what is known.

    Attributes:
        blocks: all of them.
        schema_words: every word of the schema's names and descriptions.
    """

    blocks: tuple[Block, ...]
    schema_words: frozenset[str] = frozenset()

    @cached_property
    def options(self) -> tuple[Line, ...]:
        """Lines offered or asked about."""
        return tuple(line for block in self.blocks if block.is_options for line in block.lines)

    @cached_property
    def subject(self) -> Line | None:
        """The one record that general fields are about, if there is one."""
        for block in reversed(self.blocks):
            if len(block.lines) == 1 and not block.lines[0].mark:
                named = bool({stem(t) for t in tokens(block.name.replace("_", " "))} & self.schema_words)
                if block.lines[0].text.head and (block.lines[0].text.fields or named):
                    return block.lines[0]
        return None

    @cached_property
    def known(self) -> tuple[Block, ...]:
        """Blocks that are neither offered nor the subject; all blocks if none is left."""
        subject = self.subject
        rest = tuple(b for b in self.blocks if not b.is_options and b.lines and b.lines[0] is not subject)
        return rest or self.blocks

    @cached_property
    def ranked(self) -> Ranked:
        """What the known blocks talk about."""
        return rank(self.known)

    @cached_property
    def old(self) -> frozenset[str]:
        """Stems of the earlier of several known blocks."""
        return frozenset(one for b in self.known[:-1] for line in b.lines for one, _ in line_stems(line.text))

    @cached_property
    def recent(self) -> frozenset[str]:
        """Stems of the last known block."""
        return frozenset(one for line in self.known[-1].lines for one, _ in line_stems(line.text))

    @cached_property
    def _rarity(self) -> Mapping[str, float]:
        return rarity(self.options) if len(self.options) > 1 else {}

    def match(self, line: Line) -> float:
        """Likeness in [0, 1] of a line with what is known."""
        return likeness(line.text, self.ranked.stems, self._rarity)

    @cached_property
    def matches(self) -> tuple[float, ...]:
        """`match` of every option."""
        return tuple(self.match(line) for line in self.options)

    def listed(self, path: str, said: frozenset[str]) -> tuple[Line, ...]:
        """The marked lines that a list of objects is about: of the block whose name the field shares, else options."""
        marked = [b for b in self.blocks if b.is_listed]
        if not marked:
            return ()
        words = {stem(t) for t in tokens(path.replace("_", " ").replace(".", " "))}

        def fit(block: Block) -> tuple[int, int, bool]:
            name = {stem(t) for t in tokens(block.name.replace("_", " "))}
            return len(name & words), len(name & said), block.is_options

        return max(marked, key=fit).lines


@dataclass
class Writer(Content):
    """Answers a schema's questions from a reading.

    Attributes:
        reading: the prompt.
        schema: the schema's root, to look into lists.
        variant: 0 for the best answer, v for the one without the v-th best phrase, sentence or choice.
        scale: factor on every text's length, for answers that must be shorter.
    """

    reading: Reading
    schema: Node
    variant: int = 0
    scale: float = 1.0
    _lists: dict[str, tuple[Line, ...]] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    def text(self, path: str, node: Node) -> str:
        """Sentences or phrases, within the field's words and characters; no long text twice in one answer."""
        words, most = limits(node, self.scale)
        about, brief = field_words(path, node), words <= 12 or most <= 100
        focus = self._focus(path) or self.reading.subject
        pieces = [] if focus is None else self._about_line(focus, about, brief=brief)
        if not pieces or (not brief and sum(len(piece.split()) for piece in pieces) < words // _PART):
            pieces = [*pieces, *self._general(about, brief=brief)]
        turned = ([*pieces[first:], *pieces[:first]] for first in range(1 if brief else max(1, len(pieces))))
        tried = (stitch(some, words, most) for some in turned)
        best = next(tried)
        said = best if best not in self._said else next((text for text in tried if text not in self._said), best)
        if asked := asked_words(node):
            said = filled_up(said, asked, path.rpartition(".")[2].replace("_", " "))
        self._said.add(said)
        return said

    def texts(self, path: str, node: Node) -> Sequence[str]:
        """The best phrases that fit the field."""
        about = field_words(path, node)
        low, high = node.get("minItems", 0), min(node.get("maxItems", 8), 40)
        focus = self._focus(path) or self.reading.subject
        if focus is None and len(self.reading.known) > 1 and (related := self._related(about, high)) is not None:
            found = related
        else:
            ranked = self.reading.ranked if focus is None else rank((Block("", (focus,)),))
            found = [text for _, text, _ in ranked.top(min(high, max(low, 12)), least=max(low, 1), skip=self.variant)]
        entry = node.get("items", {})
        return _distinct([clip(t, entry.get("maxLength", 1_000)) for t in found], low, self._filler(focus), entry)

    def count(self, path: str, node: Node) -> int:
        """An entry per line for lists of objects with an id, one for others; none in deep recursion."""
        if path.count(".") > _DEEP:
            return 0
        lines = self._lines(path, node)
        return len(lines) or 1

    def choose(self, path: str, options: Sequence[Any]) -> Any:
        """The option most like what the prompt says, the v-th best for variant v."""
        scores = option_scores(self.reading, [str(o) for o in options], self._focus(path))
        order = sorted(range(len(options)), key=lambda i: (-scores[i], i))
        return options[order[self.variant % len(order)]]

    def number(self, path: str, low: float, high: float) -> float:
        """An id is copied from its line; anything else says how well the line or subject fits, from low to high."""
        found = ENTRY.match(path)
        name = path.rpartition(".")[2]
        if found and (lines := self._lists.get(found[1])) and (is_id(name) or name.isdecimal()):
            mark = lines[int(found[2])].mark if int(found[2]) < len(lines) else ""
            return int(mark) if mark.isdecimal() else low
        focus = self._focus(path) or self.reading.subject
        share = self.fit(focus) if focus is not None else 0.5
        if self.variant:
            share = (share + 0.37 * self.variant) % 1.0
        return low + (high - low) * share

    def fit(self, line: Line) -> float:
        """Likeness from 0 (least of the options, or none) to 1 (best of the options, or strong)."""
        mine, others = self.reading.match(line), self.reading.matches
        if len(others) > 1 and max(others) > min(others):
            return (mine - min(others)) / (max(others) - min(others)) if mine < max(others) else 1.0
        return min(1.0, 2.5 * mine)

    def _focus(self, path: str) -> Line | None:
        """The line that this place of the answer is about, None outside lists."""
        found = ENTRY.match(path)
        if found is None or not (lines := self._lists.get(found[1])):
            return None
        return lines[min(int(found[2]), len(lines) - 1)]

    def _lines(self, path: str, node: Node) -> tuple[Line, ...]:
        """The lines a list is about, if its entries have an id (or are numbers)."""
        entry = resolve(self.schema, node.get("items", {}))
        if not any(is_id(name) for name in entry.get("properties", ())) and entry.get("type") != "integer":
            return ()
        if path not in self._lists:
            lines = self.reading.listed(path, field_words(path, node))
            if entry.get("type") == "integer":  # bare ids: a ranking
                lines = tuple(sorted(lines, key=self.reading.match, reverse=True))
            self._lists[path] = lines
        return self._lists[path]

    def _about_line(self, line: Line, about: frozenset[str], *, brief: bool) -> list[str]:
        """What to say of one line: what kind it is, whom it is for, or what of it meets what is known."""
        if about & _KINDS and (kind := _kind(line)):
            return [kind]
        if about & _WHO and (whom := _whom(line)):
            return whom
        own = rank((Block("", (line,)),))
        known = self.reading.ranked.stems if self.reading.known != self.reading.blocks else {}
        best = own.top(24, least=24)
        met = [text for key, text, _ in best if any(k in known for k in key)]
        rest = [text for _, text, _ in best if text not in met]
        shown = _skip(met + rest, self.variant)
        if brief:
            return [", ".join(shown[:3])]
        facts = [", ".join(e for name, value in line.text.fields for e in entries(value) if name != "rated")]
        met_first = [", ".join(met[:5])] if met else []
        more = own.quotes if len(own.quotes) > 1 else (*own.quotes, ", ".join(rest[:6]))
        return _skip([line.text.head, *met_first, *more, *facts], self.variant)

    def _general(self, about: frozenset[str], *, brief: bool) -> list[str]:
        """What to say of everything known."""
        ranked = self.reading.ranked
        leading = [text for _, text, _ in ranked.top(7, least=4, skip=self.variant)]
        if brief:
            return [", ".join(leading[:3])]
        quotes = sorted(ranked.quotes[:12], key=lambda q: -len(about & set(stems(q)))) if about else ranked.quotes
        return [", ".join(leading), *_skip(quotes, self.variant)]

    def _related(self, about: frozenset[str], most: int) -> list[str] | None:
        """Phrases that both the old and the new blocks have, or only one of them, where the field asks for that."""
        old, recent, ranked = self.reading.old, self.reading.recent, self.reading.ranked
        leading = ranked.top(12, least=8)
        if about & _GONE:
            kept = {k for key, _, _ in leading for k in key}
            gone = old - recent - kept
            found = [t for key, t, _ in ranked.top(60, least=60) if gone >= set(key)]
        elif about & _BOTH:
            found = [t for key, t, _ in leading if old >= set(key)]
        elif about & _FRESH:
            found = [t for key, t, _ in leading if not old >= set(key)]
        else:
            return None
        return _skip(found, self.variant)[: min(most, 12)]

    def _filler(self, focus: Line | None) -> list[str]:
        """More phrases, should a list need them."""
        ranked = self.reading.ranked if focus is None else rank((Block("", (focus,)),))
        return [text for _, text, _ in (*ranked.phrases[:80], *self.reading.ranked.phrases[:80])]


def option_scores(reading: Reading, options: Sequence[str], focus: Line | None = None) -> list[float]:
    """How well each option answers: by its line if it is a mark, by yes and no, else by its own words."""
    by_mark = {line.mark: line for line in reading.options}
    if all(o.strip() in by_mark for o in options):
        return [reading.match(by_mark[o.strip()]) for o in options]
    if any(map(is_yes, options)) and any(map(is_no, options)):
        about = focus or reading.subject
        liked = reading.match(about) if about else max(reading.matches, default=0.5)
        return [1 - liked if is_no(o) else liked if is_yes(o) else 0.25 for o in options]
    known = reading.ranked.stems
    top = max(known.values(), default=1.0)
    return [sum(known.get(s, 0.0) for s in stems(o)) / (top * (len(stems(o)) + 1)) for o in options]


def stitch(pieces: Sequence[str], words: int, most: int) -> str:
    """Pieces as sentences, as many as fit, the first cut if it alone is too long; nothing is said twice."""
    said: list[str] = []
    seen: list[str] = []
    left_words, left = words, most
    for piece in pieces:
        piece = piece.strip()
        n, key = len(piece.split()), f" {' '.join(tokens(piece))} "
        if not piece or _told(key, seen) or (said and (n > left_words or len(piece) + 2 > left)):
            continue
        seen.append(key)
        if not said:
            piece = clip(" ".join(piece.split()[:words]), most)
        end = "" if piece[-1:] in ".!?…" or len(pieces) == 1 else "."
        if len(piece) + len(end) > left:
            end = ""
        said.append(piece + end)
        left_words, left = left_words - n, left - len(piece) - len(end) - 1
    return " ".join(said)


def _told(key: str, seen: Sequence[str]) -> bool:
    """Whether a piece stands in one that was said, or holds a long one."""
    return any(key in one or (one in key and one.count(" ") > _LONG) for one in seen)


def clip(text: str, most: int) -> str:
    """At most this many characters, cut at a space where that leaves most of it."""
    if len(text) <= most:
        return text
    cut = text[:most]
    at = cut.rfind(" ")
    return (cut[:at] if at > most // 2 else cut).rstrip(" ,;:-")


def _skip(texts: Sequence[str], variant: int) -> list[str]:
    """All, or all but one for a variant."""
    gone = (variant - 1) % len(texts) if variant and len(texts) > 1 else -1
    return [t for i, t in enumerate(texts) if i != gone]


def _kind(line: Line) -> str:
    """The deepest entry of its path, or the last phrase of its title."""
    for name, value in line.text.fields:
        if words_of(name) & {"category", "categorie", "genre", "path"} and (path := entries(value)):
            return path[-1]
    titled = [text for key, text, _ in phrases(type(line.text)(line.text.head)) if len(key) == 1]
    return titled[-1] if titled else line.text.head


def _whom(line: Line) -> list[str]:
    """What stands after "for" in its text."""
    found = []
    for quote in quotable(line.text):
        for part in sentences(quote):
            head, found_for, tail = part.partition(" for ")
            if found_for and head:
                found.append("for " + tail.rstrip(".").split(",")[0].split(";")[0])
    return found


def _distinct(texts: Sequence[str], low: int, more: Sequence[str], entry: Node) -> list[str]:
    """Distinct texts, at least `low` while there is anything to say."""
    found = {t.casefold(): t for t in reversed(texts) if t}
    found = {t.casefold(): t for t in dict.fromkeys(texts) if found.get(t.casefold()) == t}
    for short in (clip(text, entry.get("maxLength", 1_000)) for text in more):
        if len(found) >= low:
            break
        if short:
            found.setdefault(short.casefold(), short)
    return list(found.values())
