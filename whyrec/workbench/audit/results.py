"""Every result of a run, and the step matrices beside it: made from the history that its key names, and no later one.

A payload says which prefix it was made from; that digest is made again from the data. Its fields are held against the
rules of its graph, as blanks are.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whyrec.plugins.rules import Rule
from whyrec.runs import Result, RunReader
from whyrec.workbench.audit.calls import Answers
from whyrec.workbench.audit.findings import Findings
from whyrec.workbench.audit.places import Place, Places
from whyrec.workbench.audit.rules import order_of, results_of
from whyrec.workbench.audit.scopes import Scope, Scopes

_MINED = "scoter.mine"
_ALLOWED = ("train", "valid")
_NEVER = 1e-9


class ResultAudit:
    """Checks results.

    Args:
        graph: of the run.
        scopes: of its examples.
        places: checks one place.
        findings: told what is wrong.
        answers: what was guessed.
    """

    def __init__(self, graph: str, *, scopes: Scopes, places: Places, findings: Findings, answers: Answers) -> None:
        self._graph, self._scopes, self._places = graph, scopes, places
        self._order = order_of(graph)
        self._findings, self._answers = findings, answers
        self._places_of_target: Counter[int] = Counter()
        self._width = 0
        self.strict = True

    def check(self, result: Result) -> None:
        """Check one result."""
        where, payload = f"result {result.key}", result.payload
        self._findings.count("results")
        if payload is None:
            return
        if self._graph == _MINED:
            if payload["split"] not in _ALLOWED:
                self._findings.add("split", where, f"templates were mined from {payload['split']} targets")
            return
        scope = self._scopes.of(result.key, result.user, result.split)
        if result.user and scope is None:
            self._findings.add("stranger", where, f"user {result.user!r} is not in the data")
        if scope is not None and scope.user >= 0:
            self._made_from(result, payload, scope)
            self._note_place(payload, scope)
        self._answers.at(result.key)
        rules = results_of(self._graph)
        if rules is None:
            self._findings.undeclared(self._graph)
        for name, value in payload.items():
            rule = (rules or {}).get(name, Rule.GIVEN)
            self._findings.count(f"fields of results: {rule.name.lower()}")
            lifted = rule in self._findings.lifted
            if lifted:
                self._findings.count("places that a switch lets leak")
            say = self._findings.at(where)
            self._places.check(
                value,
                Place(name, rule, None if lifted else scope, say, self._answers, strict=self.strict),
            )

    def finish(self) -> None:
        """After the last result: whether the order of the candidates tells which one is the target."""
        n = self._places_of_target.total()
        if not n:
            return
        self._findings.count("places of the target among the options", n)
        place, most = self._places_of_target.most_common(1)[0]
        if chance(most, n, self._width) < _NEVER:
            self._findings.add(
                "order", "results", f"the target is option {place + 1} of {self._width} in {most:,} of {n:,} examples"
            )

    def _note_place(self, payload: Mapping[str, Any], scope: Scope) -> None:
        """Where the target stands among what was shown, if it is there."""
        shown = payload.get(self._order, ()) if self._order else ()
        if scope.target in shown:
            self._places_of_target[shown.index(scope.target)] += 1
            self._width = len(shown)

    def _made_from(self, result: Result, payload: Mapping[str, Any], scope: Scope) -> None:
        """Prefix, length, user and split are those of the key."""
        where, say = f"result {result.key}", self._findings.add
        if "prefix" in payload:
            self._findings.count("prefix digests")
            if payload["prefix"] != scope.prefix:
                say("prefix", where, "was made from another history than the one this split may show (prefix digest)")
        if "events" in payload:
            self._findings.count("numbers of events")
            if payload["events"] != scope.events:
                say("prefix", where, f"was made from {payload['events']} events, but {scope.events} may be shown")
        for name, meant in (("user", result.user), ("split", result.split)):
            if payload.get(name, meant) != meant:
                say("split", where, f"says {name} {payload[name]!r}, but it is stored for {meant!r}")
        if self._graph == "pulse.rationale" and payload["split"] != "train" and not self._findings.lifted:
            say("split", where, f"explains a {payload['split']} target")


def chance(most: int, n: int, width: int) -> float:
    """How likely some place holds the target so often, or oftener, if every place is as likely."""
    from scipy.stats import binom

    return min(1.0, width * float(binom.sf(most - 1, n, 1.0 / width)))


def check_steps(run: RunReader, scopes: Scopes, findings: Findings, data_digest: str) -> None:
    """The step matrices of a scoter.distil run: each stored under the prefix that its key names."""
    folder = run.folder / "steps"
    if not (folder / "index.jsonl").exists():
        return
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    findings.count("step stores")
    if about["data_digest"] != data_digest:
        findings.add("data", "steps/about.json", "the step matrices were made from other data than the run")
    with (folder / "index.jsonl").open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            prefix, key, _ = json.loads(line)
            findings.count("step matrices")
            split, _, rest = key.partition("/")
            scope = scopes.of(key, rest.rpartition("@")[0] or rest, split)
            if scope is None or scope.prefix != prefix:
                findings.add(
                    "prefix", f"steps/index.jsonl line {number}", f"the matrix of {key} was not made from its prefix"
                )


def stored_texts(folder: Path) -> list[Path]:
    """Texts in a run's folder beside its SQLite files: what a scan for secrets has to read."""
    ends = (".json", ".jsonl", ".txt", ".md", ".csv", ".tsv")
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in ends)
