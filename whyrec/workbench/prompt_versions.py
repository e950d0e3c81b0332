"""Versions of prompts: where each is to be had, how two differ, which runs used which and what came of it.

A version is a text, named by its digest. It is to be had from its file, or from any run that used it: runs keep the
text of every prompt they sent. A version can be named by a file, by a prompt's name (the file as it stands), by the
beginning of a digest, or by a run, which means the version that this run used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import prompts
from prompts import Prompt
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import RunReader, open_run
from whyrec.runs.folders import run_ids
from whyrec.settings import Settings
from whyrec.sqlite import connect
from whyrec.trace.address import LATEST, find_run
from whyrec.trace.words import Piece, compare
from whyrec.workbench.recorded import recorded

_DIGEST = re.compile(r"[0-9a-f]{4,16}\Z")
_FRONT = ("name", "description", "answer", "format", "sampling", "variables")
_SUMS = (
    "SELECT prompt_digest, count(*), total(turn=0), total(turn=1), total(turn>0), total(error_kind<>''),"
    " min(at), max(at) FROM call WHERE prompt=? GROUP BY prompt_digest"
)


@dataclass(frozen=True)
class Version:
    """A prompt as it stood somewhere: `where` is its file or a run that used it."""

    prompt: Prompt
    where: str


@dataclass(frozen=True)
class Difference:
    """How two versions differ.

    Attributes:
        old, new: the versions.
        front: (field, old, new) of the front matter that is not the same.
        sections: (role, pieces) word by word; "user" is the part with the blanks.
    """

    old: Version
    new: Version
    front: tuple[tuple[str, str, str], ...]
    sections: tuple[tuple[str, tuple[Piece, ...]], ...]

    @property
    def same(self) -> bool:
        """Whether they are one version."""
        return self.old.prompt.digest == self.new.prompt.digest


@dataclass(frozen=True)
class Use:
    """A version in a run.

    Attributes:
        digest: of the version.
        run, graph, data, model: where it was used.
        at: unix seconds of its first and of its last call.
        calls: all, each sample and each repair for itself.
        valid: share of the first answers that needed no repair and were no error.
        repairs: calls that showed the model a wrong answer.
        errors: calls without an answer.
        done, failed: examples of the run.
        outcome: name of the run's first measure, "" where a result has none, and its mean over `scored` examples.
    """

    digest: str
    run: str
    graph: str
    data: str
    model: str
    at: tuple[float, float]
    calls: int
    valid: float
    repairs: int
    errors: int
    done: int
    failed: int
    outcome: str = ""
    mean: float = 0.0
    scored: int = 0


def find(home: Path, given: str, *, name: str = "") -> Version:
    """The version meant.

    Args:
        home: where runs lie.
        given: a file, a prompt's name, the beginning of a digest, or a run ("latest" too).
        name: the prompt meant where a run is given.

    Raises:
        UsageError: a file that is no prompt; a run without that prompt, or with several where none is named.
        UnknownNameError: nothing is called that.
    """
    if _is_file(given):
        return Version(prompts.parse(prompts.read_file(Path(given)), where=given), given)
    if given in prompts.names():
        return Version(prompts.load(given), f"prompts/{given}.md")
    if _DIGEST.match(given) and (found := _by_digest(home, given)):
        if len(found) > 1:
            raise UsageError(f"{given} begins several versions: {', '.join(sorted(found))}.")
        return next(iter(found.values()))
    if given == LATEST or any(run.startswith(given) for run in run_ids(home)):
        return _of_run(home, given, name)
    hint = "Name a file, the beginning of a version's digest (`whyrec prompts history NAME`), or a run."
    raise UnknownNameError("prompt or version", given, prompts.names(), hint=hint)


def difference(old: Version, new: Version) -> Difference:
    """How two versions differ: what they ask for, and the words they ask in."""
    a, b = old.prompt, new.prompt
    front = tuple(
        (field, _plain(getattr(a, field)), _plain(getattr(b, field)))
        for field in _FRONT
        if _plain(getattr(a, field)) != _plain(getattr(b, field))
    )
    left, right = _sections(a), _sections(b)
    roles = list(dict.fromkeys((*left, *right)))
    return Difference(old, new, front, tuple(
        (role, tuple(compare(left.get(role, ""), right.get(role, "")))) for role in roles
    ))  # fmt: skip


def history(
    settings: Settings,
    name: str,
    *,
    outcomes: bool = True,
    unreadable: Callable[[str, str], None] = lambda _run, _why: None,
) -> list[Use]:
    """Every use of every version of a prompt in the runs there are, the latest first.

    Args:
        settings: home and data folders.
        name: of the prompt, in the house or only in runs.
        outcomes: also what the results were worth, where that can be said: this opens the runs' data.
        unreadable: told of runs that cannot be read, with the reason; they are left out.

    Raises:
        UnknownNameError: neither the house nor any run knows it.
    """
    found: list[Use] = []
    known: set[str] = set(prompts.names())
    for run_id in run_ids(settings.home):
        try:
            with closing(open_run(settings.home, run_id)) as run:
                known |= set(_names(run))
                found += _uses(run, settings, name, outcomes)
        except UsageError as error:
            unreadable(run_id, str(error))
    if not found and name not in known:
        raise UnknownNameError("prompt", name, known)
    return sorted(found, key=lambda use: use.at, reverse=True)


def _uses(run: RunReader, settings: Settings, name: str, outcomes: bool) -> Iterator[Use]:
    reading = connect(run.path, read_only=True)
    try:
        rows = reading.execute(_SUMS, (name,)).fetchall()
    finally:
        reading.close()
    if not rows:
        return
    info, counts = run.info(), run.counts()
    measure = _outcome(run, info, settings) if outcomes else ("", 0.0, 0)
    for digest, calls, first, repaired, repairs, errors, begun, ended in rows:
        yield Use(
            digest=digest,
            run=run.id,
            graph=info["graph"],
            data=info["data"],
            model=info["model"],
            at=(begun, ended),
            calls=int(calls),
            valid=max(0.0, 1.0 - (repaired + errors) / first) if first else 0.0,
            repairs=int(repairs),
            errors=int(errors),
            done=counts.done,
            failed=counts.failed,
            outcome=measure[0],
            mean=measure[1],
            scored=measure[2],
        )


def _outcome(run: RunReader, info: Mapping[str, Any], settings: Settings) -> tuple[str, float, int]:
    """(measure, mean, examples) of a run whose results can be held against something; ("", 0, 0) otherwise."""
    try:
        first = recorded(run, settings).worth[0]
    except (UsageError, UnknownNameError):
        return "", 0.0, 0
    return first.name, fmean(first.values.values()) if first.values else 0.0, len(first.values)


def _by_digest(home: Path, beginning: str) -> dict[str, Version]:
    """Versions by digest: the files as they stand first, then what runs kept."""
    found = {
        prompt.digest: Version(prompt, f"prompts/{prompt.name}.md")
        for prompt in map(prompts.load, prompts.names())
        if prompt.digest.startswith(beginning)
    }
    for run_id in run_ids(home):
        try:
            with closing(open_run(home, run_id)) as run:
                rows = run.versions()
        except UsageError:
            continue  # the list of runs says what is wrong with it
        for _, digest, text in rows:
            if digest.startswith(beginning) and digest not in found:
                found[digest] = Version(prompts.parse(text, where=run_id), run_id)
    return found


def _of_run(home: Path, given: str, name: str) -> Version:
    run = find_run(home, given)
    try:
        there = _names(run)
        wanted = name or (next(iter(there)) if len(there) == 1 else "")
        if wanted not in there:
            hint = "Name the prompt first: whyrec prompts diff NAME RUN."
            raise UnknownNameError(f"prompt in the run {run.id}", wanted or "(none named)", there, hint=hint)
        found = run.prompt(there[wanted])
        assert found is not None
        return Version(prompts.parse(found[1], where=run.id), run.id)
    finally:
        run.close()


def _names(run: RunReader) -> dict[str, str]:
    """Name -> digest of the prompts of a run; of several versions the one used last."""
    return {name: digest for name, digest, _ in run.versions()}


def _sections(prompt: Prompt) -> dict[str, str]:
    """Role -> text; several sections of a role are numbered."""
    found: dict[str, str] = {}
    for role, text in (*((m.role, m.content) for m in prompt.opening), ("user", prompt.body)):
        label, number = str(role), 2
        while label in found:
            label, number = f"{role} {number}", number + 1
        found[label] = text
    return found


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False)
    return str(value)


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except OSError:  # a name too long for a file system is none
        return False
