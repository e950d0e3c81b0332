"""One place of a run (a blank, a field of a result) held against its rule and the scope of its example.

Records (items, events) are compared by number with what the rule allows, and their texts with the catalogue: a text
that is the catalogue's, or the description a model made of that item, says nothing about the user. All other text is
searched for the names of later items. What a model said may name what a recorded answer guessed; whether one did is
asked of the log (`Log`), and only when something is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions
from whyrec.plugins.rules import Rule
from whyrec.workbench.audit.names import Hit, Text
from whyrec.workbench.audit.scopes import Scope, Scopes

_KEPT = 700  # characters that a recorded blank keeps of a field
_FIELDS = ("title", "description", "brand")
_RECORD = frozenset({"index", "id", "title", "description", "brand", "categories"})
_EVENT = frozenset({"item", "rating", "time", "review"})
_QUOTED = 40  # characters of a review that cannot be there by chance
MAY_NAME = (Rule.OF_CANDIDATES, Rule.OF_EXPLAINED, Rule.OF_QUESTION)
_SHOWS_IT = (*MAY_NAME, Rule.CANDIDATES, Rule.EXPLAINED, Rule.QUESTION, Rule.CATALOGUE)
_SAID = (Rule.SAID, Rule.STEPS, Rule.BEHAVIOUR, *MAY_NAME)
Say = Callable[[str, str], None]


class Log(Protocol):
    """Answers recorded for an example."""

    def guessed(self, scope: Scope, hit: Hit, text: str) -> bool:
        """Whether an answer given before for this example, or an earlier run, named this too."""
        ...


@dataclass
class Place:
    """Where something stands and what may stand there.

    Attributes:
        name: "history", "result.text".
        rule: what may stand there.
        scope: of the example; None where it is nobody's.
        say: told (kind, sentence) of what is wrong.
        log: asked where a model may have said it.
        strict: whether neighbours' events must have happened by the time of the history's last.
        numbers: whether items' numbers are shown in this call.
        shown: numbers of the items that records here showed, for what the answer may name.
    """

    name: str
    rule: Rule
    scope: Scope | None
    say: Say
    log: Log
    strict: bool = True
    numbers: bool = False
    shown: set[int] = field(default_factory=set)


class Places:
    """Checks places.

    Args:
        scopes: of the run's examples.
        described: item id -> texts that a model or an earlier run made of the item.
    """

    def __init__(self, scopes: Scopes, described: dict[str, set[str]]) -> None:
        self._scopes, self.described = scopes, described
        self._corpus = scopes.data if isinstance(scopes.data, Corpus) else None

    def check(self, value: Any, place: Place) -> None:
        """Hold a value against its rule."""
        rule = place.rule
        if rule in (Rule.NUMBERS, Rule.OVER_USERS):
            return
        if isinstance(self._scopes.data, Questions):
            self._of_question(value, place)
        elif rule is Rule.BEHAVIOUR:
            self._behaviour(str(value), place)
        else:
            self._walk(value, place)

    def text(self, text: str, place: Place) -> None:
        """Search a text for names of later items, and for what the user says of them."""
        scope = place.scope
        if scope is None or not text or not (scope.later or scope.reviews):
            return
        seen: Text | None = None
        for name in scope.later:
            if name.item == scope.target and place.rule in _SHOWS_IT:
                continue
            seen = seen or Text(text)
            hit = seen.find(name, numbers=place.numbers)
            if hit is None or scope.text.explains(hit):
                continue
            if place.rule in _SAID and place.log.guessed(scope, hit, text):
                continue
            place.say("named", f"{place.name} names {hit}, which comes later")
        for review in scope.reviews:
            if len(review) >= _QUOTED and review[:_QUOTED] in text and review[:_QUOTED] not in scope.visible():
                place.say("review", f"{place.name} quotes the user's own review of a later event")

    def _walk(self, value: Any, place: Place) -> None:
        if isinstance(value, str):
            if value in self._ids:
                self._id(value, place)
            else:
                self.text(value, place)
        elif isinstance(value, Mapping):
            if "index" in value and "id" in value:
                self._item(value, place)
            elif isinstance(value.get("item"), Mapping):
                self._event(value, place)
            else:
                for key, inner in value.items():
                    if key != "item" or place.rule not in MAY_NAME:
                        self._walk(inner, place)
        elif isinstance(value, Sequence):
            for inner in value:
                self._walk(inner, place)
        elif isinstance(value, int) and place.rule is Rule.EXPLAINED:
            self._number(value, place)

    @cached_property
    def _ids(self) -> Mapping[str, int]:
        ids = [] if self._corpus is None else self._corpus.catalogue["id"].to_list()
        return {str(id_): place for place, id_ in enumerate(ids, 1)}

    def _id(self, id_: str, place: Place) -> None:
        """An item named by its id alone, as results do."""
        if place.rule in (Rule.SAID, Rule.GIVEN) and not any(c.isalpha() for c in id_):
            return  # a number in a text, not an id
        self._number(self._ids[id_], place)

    def _event(self, record: Mapping[str, Any], place: Place) -> None:
        """An event of the history, a neighbour's, or an option with what the user sees in it."""
        self._item(record["item"], place)
        if "note" in record:
            note = Place(f"{place.name}.note", Rule.OF_CANDIDATES, place.scope, place.say, place.log)
            self.text(str(record["note"]), note)
        unknown = record.keys() - _EVENT - {"note"}
        if unknown and place.rule is Rule.CANDIDATES:
            place.say("marked", f"{place.name} marks an option by {', '.join(sorted(unknown))}")
        rating, review = record.get("rating"), str(record.get("review", ""))
        scope = place.scope
        if scope is None or (rating is None and not review):
            return
        index = int(record["item"]["index"])
        said = scope.met.get(index, frozenset()) if place.rule is Rule.HISTORY else frozenset()
        if said and rating is not None and rating not in {r for r, _ in said}:
            place.say("rating", f"{place.name} shows a rating of {self._called(index)} that is not of the history")
        if review and review not in {r for _, r in said}:
            self.text(review, place)

    def _item(self, record: Mapping[str, Any], place: Place) -> None:
        """An item's record: the number against the rule, the texts against the catalogue."""
        assert self._corpus is not None
        index = int(record["index"])
        if not 1 <= index <= self._corpus.n_items:
            place.say("record", f"{place.name} shows an item number {index} that is not in the catalogue")
            return
        known = self._corpus.item(index)
        if record["id"] != known.id:
            place.say("record", f"{place.name} shows number {index} as {record['id']}, which is {known.id}")
        self._number(index, place)
        for name in _FIELDS:
            text = record.get(name, "")
            if text and text != getattr(known, name)[:_KEPT] and text not in self.described.get(known.id, ()):
                if place.rule is Rule.CANDIDATES and name != "description":
                    place.say("marked", f"{place.name} shows {known.id} with another {name} than the catalogue's")
                self.text(str(text), place)
        categories = [c[:_KEPT] for c in known.categories]
        for text in record.get("categories", ()):
            if text not in categories:
                self.text(str(text), place)
        if strange := record.keys() - _RECORD:
            if place.rule is Rule.CANDIDATES:
                place.say("marked", f"{place.name} marks an item by {', '.join(sorted(strange))}")
            for name in strange:
                self._walk(record[name], place)

    def _number(self, index: int, place: Place) -> None:
        """Whether an item may be shown here at all."""
        place.shown.add(index)
        scope, rule = place.scope, place.rule
        if scope is None or rule in (Rule.CANDIDATES, Rule.CATALOGUE, *MAY_NAME):
            return
        later = index in scope.items
        if rule is Rule.HISTORY and index not in scope.met:
            what = "a later event" if later else "an item the user had not met"
            place.say("later" if later else "stranger", f"{place.name} shows {what}: {self._called(index)}")
        elif rule is Rule.NEIGHBOURS:
            until = scope.until if place.strict else None
            if not self._scopes.met_in_training(index, but=scope.user, until=until):
                place.say(
                    "later" if later else "neighbours",
                    f"{place.name} shows {self._called(index)}, which nobody else had met in training by then",
                )
        elif rule in (Rule.QUESTION, Rule.EXPLAINED):
            if index != scope.target:
                place.say("later" if later else "stranger", f"{place.name} shows {self._called(index)} in its place")
        elif rule in (Rule.SAID, Rule.GIVEN, Rule.BEHAVIOUR) and later:
            place.say("later", f"{place.name} shows a later event: {self._called(index)}")

    def _called(self, index: int) -> str:
        assert self._corpus is not None
        item = self._corpus.item(index)
        return f"item {item.id} ({item.title or 'untitled'})"

    def _behaviour(self, text: str, place: Place) -> None:
        """A preference may have guessed; the lines about events may not."""
        first, _, rest = text.partition("\n")
        if not first.startswith("Prefers: "):
            first, rest = "", text
        self.text(first, place)
        self.text(rest, Place(place.name, Rule.GIVEN, place.scope, place.say, place.log))

    def _of_question(self, value: Any, place: Place) -> None:
        """Places of a graph over questions."""
        data, scope = self._scopes.data, place.scope
        assert isinstance(data, Questions)
        if scope is None:
            return
        question = data.questions[scope.target]
        if place.rule is Rule.ASKED and value != question.text:
            place.say("record", f"{place.name} is not the data set's question")
            self.text(str(value), place)
        elif place.rule is Rule.PARAGRAPHS:
            texts = {p.title: p.text for p in question.paragraphs}
            for shown in value:
                if not texts.get(shown["title"], "").startswith(shown["text"]):
                    place.say("record", f"{place.name} shows a paragraph {shown['title']!r} that is not the question's")
                    self.text(str(shown["text"]), place)
        elif place.rule not in (Rule.ASKED, Rule.NUMBERS):
            for text in strings(value):
                self.text(text, place)


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from strings(inner)
