"""What people said of calls and examples, put to use: an export, an outcome for comparisons, a data set for tuning.

A data set from calls is a file of JSON lines, one conversation each: {"messages": [{"role", "content"}, ...]}, the
answer as the last message. The messages are put together as they were sent; an answer that nobody could use is left
out unless it is asked for, and so is what has been saved already.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphs.outcomes import Worth
from whyrec.errors import UnknownNameError, UsageError
from whyrec.redaction import cut
from whyrec.runs import RunReader
from whyrec.trace import Calls, Wanted
from whyrec.trace.labels import Label, Labelled, Labels
from whyrec.workbench.asked import asked

GOOD = "labelled good"
_AT_ONCE = 1000


@dataclass
class Saved:
    """What became of the calls that were chosen, how many of each."""

    saved: int = 0
    unusable: int = 0
    repeated: int = 0
    scored: int = 0

    def __str__(self) -> str:
        """For people."""
        left = {
            "had no answer of use": self.unusable,
            "asked and said the same as an earlier one": self.repeated,
            "only scored given texts": self.scored,
        }
        told = "; ".join(f"{count:,} {why}" for why, count in left.items() if count)
        return f"{self.saved:,} conversations" + (f"; left out: {told}" if told else "")


def conversations(run: RunReader, wanted: Wanted, told: Saved) -> Iterator[str]:
    """The calls wanted as JSON lines, in their order; `told` counts them.

    Raises:
        UnknownNameError, UsageError: as `Calls.find`; or the run has lost the text of a prompt.
    """
    seen: set[str] = set()
    with Calls(run) as calls:
        offset = 0
        while lines := calls.find(wanted, limit=_AT_ONCE, offset=offset):
            offset += len(lines)
            for line in lines:
                if line.kind != "complete":
                    told.scored += 1
                    continue
                if line.error_kind or (line.unreadable and not wanted.status):
                    told.unusable += 1
                    continue
                found = asked(run, line.id)
                answer = found.request.prefix + str(found.call["answer"])
                if not answer.strip():
                    told.unusable += 1
                    continue
                messages = [{"role": m.role, "content": m.content} for m in found.request.messages]
                messages.append({"role": "assistant", "content": answer})
                body = json.dumps(messages, ensure_ascii=False)
                if body in seen:
                    told.repeated += 1
                    continue
                seen.add(body)
                told.saved += 1
                yield cut(f'{{"messages": {body}, "call": {json.dumps(f"{run.id}:{line.id}")}}}\n')


def save(run: RunReader, wanted: Wanted, file: Path) -> Saved:
    """Write a data set of the calls wanted; a file that is there is replaced once all of it is written.

    Raises:
        UsageError: nothing is left to be saved, or the file cannot be written; also as `conversations`.
    """
    told = Saved()
    _write(file, conversations(run, wanted, told))
    if not told.saved:
        file.unlink()
        raise UsageError(f"No call of {run.id} that meets all of that can be saved: {told}.")
    return told


def exported(run: RunReader) -> Iterator[str]:
    """Every label that counts in a run as a JSON line, with what it is of."""
    labelled = Labels(run.folder.parents[1]).of_run(run.id)
    for number, label in sorted(labelled.calls.items()):
        call = run.call(number) or {}
        about = {name: call.get(name) for name in ("example", "user", "item", "node", "prompt", "model", "answer")}
        yield _line(label, {"call": number, **about})
    for key, label in sorted(labelled.examples.items()):
        result = run.result(key)
        yield _line(label, {"example": key, "result": result.payload if result else None})


def export(run: RunReader, file: Path) -> int:
    """Write every label of a run; returns how many.

    Raises:
        UsageError: it has none, or the file cannot be written.
    """
    lines = list(exported(run))
    if not lines:
        raise UsageError(f"Nothing of {run.id} is labelled. `whyrec trace label {run.id}:1 good` labels a call.")
    _write(file, iter(lines))
    return len(lines)


def example_key(run: RunReader, name: str) -> str:
    """The key of a settled example, by its key or by the user or item that it alone is of.

    Raises:
        UnknownNameError: there is none, or there are several.
    """
    if run.result(name) is not None:
        return name
    escaped = "".join(f"!{letter}" if letter in "!%_" else letter for letter in name)
    sql = "SELECT key FROM example WHERE user=? OR key LIKE ? ESCAPE '!' LIMIT 20"
    meant = [str(key) for (key,) in run._read.execute(sql, (name, f"%/{escaped}"))]
    if len(meant) != 1:
        some = meant or [str(key) for (key,) in run._read.execute("SELECT key FROM example ORDER BY key LIMIT 10")]
        raise UnknownNameError("example", name, some, hint="These are some of them.")
    return meant[0]


def with_labels(measures: list[Worth], run: RunReader) -> list[Worth]:
    """What a run's results are worth, and which examples people called good (1) or bad (0).

    An example without a label of its own has the mean of its calls' labels; one without any is in no test.
    """
    labelled = Labels(run.folder.parents[1]).of_run(run.id)
    values = _by_example(run, labelled)
    return [*measures, Worth(GOOD, values)] if values else measures


def _by_example(run: RunReader, labelled: Labelled) -> dict[str, float]:
    of_calls: dict[str, list[float]] = {}
    for number, label in labelled.calls.items():
        call = run.call(number)
        if label.verdict and call is not None and call["example"]:
            of_calls.setdefault(str(call["example"]), []).append(float(label.verdict == "good"))
    found = {key: sum(given) / len(given) for key, given in of_calls.items()}
    own = {key: float(label.verdict == "good") for key, label in labelled.examples.items() if label.verdict}
    return {**found, **own}


def _line(label: Label, about: Mapping[str, Any]) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(label.at))
    said = {"run": label.run, "label": label.verdict, "note": label.note, "who": label.who, "at": at}
    return cut(json.dumps({**said, **about}, ensure_ascii=False)) + "\n"


def _write(file: Path, lines: Iterator[str]) -> None:
    beside = file.with_name(f".{file.name}.part")
    try:
        with beside.open("w", encoding="utf-8") as out:
            out.writelines(lines)
        beside.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error}). Choose another place with --out.") from None
    finally:
        beside.unlink(missing_ok=True)
