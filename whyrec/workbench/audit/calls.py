"""Every call of a run: what was asked, whether it is what was sent, and what no answer could have told.

A call's blanks are held against the rules of its prompt, its repairs, prefix and texts to be scored against those of a
model's own words, the static text of its prompt against names that no instruction holds by chance. The request put
together again must have the digest of the one that was sent, so what is checked is what the model saw.
"""

from __future__ import annotations

import contextlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from whyrec.data.questions import Questions
from whyrec.errors import UsageError
from whyrec.plugins.rules import Rule
from whyrec.runs import RunReader
from whyrec.workbench.asked import Asked, asked
from whyrec.workbench.audit.findings import Findings
from whyrec.workbench.audit.names import Hit, Name, Text, words
from whyrec.workbench.audit.places import MAY_NAME, Place, Places, strings
from whyrec.workbench.audit.rules import rules_of
from whyrec.workbench.audit.scopes import Scope, Scopes

_LONG = 3  # words of a title that no instruction holds by chance
_REMEMBERED = 4096  # pairs of example and blanks: samples of one request are looked at once
_DESCRIBE = "shared/describe_item"
_SHOWS = frozenset({Rule.CANDIDATES, Rule.QUESTION, Rule.EXPLAINED, Rule.CATALOGUE, Rule.NEIGHBOURS})


class Answers:
    """What a run's answers for one example say, asked only when a later item is named somewhere.

    Args:
        run: the run.
        earlier: texts of the runs it builds on, for what they guessed.
        anybody: whether words about another example may be shown (placebos).
    """

    def __init__(self, run: RunReader, earlier: frozenset[int], *, anybody: bool = False) -> None:
        self._run, self._earlier, self._anybody = run, earlier, anybody
        self._example, self._before = "", 0

    def at(self, example: str, before: int = 2**62) -> Answers:
        """The same, for calls of an example numbered below this."""
        self._example, self._before = example, before
        return self

    def guessed(self, scope: Scope, hit: Hit, text: str) -> bool:
        """Whether an answer given before for this example, or an earlier run, named this too."""
        if hash(text) in self._earlier:
            return True
        if any(self._names(call, hit.name) for call in self._run.calls(example=self._example or "?")):
            return True
        return self._anybody and hash(tuple(words(text))) in self._said

    @cached_property
    def _said(self) -> frozenset[int]:
        """All answers, as words."""
        calls = self._run.calls()
        return frozenset(hash(tuple(words(call[part]))) for call in calls for part in ("answer", "reasoning"))

    def _names(self, call: Mapping[str, Any], name: Name) -> bool:
        if call["id"] >= self._before or call["error_kind"]:
            return False
        return _words_of(call).find(name, numbers=True) is not None


class CallAudit:
    """Checks calls.

    Args:
        run: the run.
        scopes: of its examples.
        places: checks one place.
        findings: told what is wrong.
        answers: what was guessed.
    """

    def __init__(self, run: RunReader, *, scopes: Scopes, places: Places, findings: Findings, answers: Answers) -> None:
        self._run, self._scopes, self._places, self._findings = run, scopes, places, findings
        self._answers, self.described = answers, places.described
        self._graph = str(run.info()["graph"])
        self._done: OrderedDict[tuple[str, str, int], frozenset[int]] = OrderedDict()
        self._static: dict[str, Text] = {}
        self.strict = True

    def check(self, number: int) -> None:
        """Check one call."""
        where = f"call {number}"
        try:
            found = asked(self._run, number)
        except UsageError as error:
            self._findings.add("altered", where, str(error))
            return
        call = found.call
        self._findings.count("calls")
        if not found.faithful:
            self._findings.add("altered", where, "what the log holds is not the request that was sent (digest)")
        scope = self._scopes.of(call["example"], call["user"], call["split"])
        if call["user"] and scope is None:
            self._findings.add("stranger", where, f"user {call['user']!r} of {call['example']} is not in the data")
        self._answers.at(call["example"], number)
        self._static_text(found, scope, where)
        shown = self._blanks(found, scope, where)
        self._own_words(found, scope, where, shown)
        if call["prompt"] == _DESCRIBE and call["answer"]:
            self._describe(call)

    def _blanks(self, found: Asked, scope: Scope | None, where: str) -> frozenset[int]:
        """Hold every blank against its rule; the numbers of the items that were shown openly."""
        call, blanks = found.call, found.blanks
        memo = (call["example"], call["prompt"], hash(call["blanks"]))
        if memo in self._done:
            return self._done[memo]
        declared = rules_of(call["prompt"], self._graph)
        rules = {} if declared is None else declared.blanks[call["prompt"]]
        numbers = declared is not None and call["prompt"] in declared.numbered
        if declared is None and blanks:
            self._findings.undeclared(call["prompt"])
        shown: set[int] = set()
        for name, value in blanks.items():
            rule = rules.get(name, Rule.HISTORY if name == "history" else Rule.GIVEN)
            self._findings.count(f"blanks: {rule.name.lower()}")
            place = self._place(name, rule, scope, where, numbers=numbers)
            self._places.check(value, place)
            shown |= place.shown if rule in _SHOWS else {scope.target} if scope and rule in MAY_NAME else set()
        self._done[memo] = frozenset(shown)
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        return frozenset(shown)

    def _own_words(self, found: Asked, scope: Scope | None, where: str, shown: frozenset[int]) -> None:
        """Repairs, prefix, texts scored; and whether the answer names what nobody showed."""
        call, request = found.call, found.request
        openly = Rule.OF_QUESTION if scope is not None and scope.target in shown else Rule.SAID
        later = request.messages[request.about.rendered :]
        for message in later:
            self._findings.count("messages without a prompt" if not found.blanks else "messages of repairs")
            rule = openly if found.blanks or message.role == "assistant" else Rule.GIVEN
            self._places.text(message.content, self._place(f"{message.role} message", rule, scope, where))
        for text in (request.prefix, *found.continuations):
            if text:
                self._findings.count("prefixes and scored texts")
                self._places.text(text, self._place("prefix or scored text", openly, scope, where))
        if scope is None or call["kind"] == "score":
            return
        said = _words_of(call)
        self._findings.count("answers")
        for name in scope.later:
            hit = said.find(name) if name.item not in shown else None
            if hit is not None and not self._explained(hit, scope, shown):
                self._findings.note(
                    "guess",
                    where,
                    f"the answer names {hit}, which comes later and was not shown",
                    once=f"{call['example']} {name.item}",
                )

    def _explained(self, hit: Hit, scope: Scope, shown: frozenset[int]) -> bool:
        """Whether the answer may have these words from the history, or from items that were shown openly."""
        data = self._scopes.data
        if isinstance(data, Questions) or scope.text.explains(hit):
            return True
        items = (data.item(index) for index in shown)
        return Text("\n".join(f"{item.title}. {item.description}. {item.brand}" for item in items)).explains(hit)

    def _static_text(self, found: Asked, scope: Scope | None, where: str) -> None:
        call = found.call
        if scope is None or not found.prompt_text:
            return
        text = self._static.get(call["prompt_digest"])
        if text is None:
            text = self._static[call["prompt_digest"]] = Text(found.prompt_text)
            self._findings.count("versions of prompts")
        for name in scope.later:
            if name.needles and len(name.needles[0]) >= _LONG and text.exact(name.needles[0]):
                self._findings.add("named", where, f"the prompt {call['prompt']} itself names {name.title!r}")

    def _describe(self, call: Mapping[str, Any]) -> None:
        """Remember what a model made of an item: made of the item alone, it may stand in anybody's prompt."""
        try:
            text = str(json.loads(call["answer"])["text"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        self.described.setdefault(call["item"], set()).update((text, text[:700]))

    def _place(self, name: str, rule: Rule, scope: Scope | None, where: str, *, numbers: bool = False) -> Place:
        if rule in self._findings.lifted:
            self._findings.count("places that a switch lets leak")
            scope = None
        say = self._findings.at(where)
        return Place(name, rule, scope, say, self._answers, strict=self.strict, numbers=numbers)


def _words_of(call: Mapping[str, Any]) -> Text:
    """What a call answered, as words; of JSON its texts, so that escapes are no letters."""
    answer = str(call["answer"])
    if answer.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            answer = "\n".join(strings(json.loads(answer, strict=False)))
    return Text(f"{answer}\n{call['reasoning']}")
