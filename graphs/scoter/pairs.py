"""What a student is tuned on: a prompt and the chain a teacher wrote for it, one JSON line each (SCoTER 3.3.1).

Only chains of train prefixes, and only where the chain was made from exactly the prefix that its key names: both are
checked against the data for every line (leakage matrix, spec 8: teacher pairs read no validation or test prefix).
Chains with a missing step teach nothing good and are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import prompts
from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView, prefix_digest
from whyrec.errors import LeakageError, UsageError
from whyrec.records import Domain, Example
from whyrec.runs import RunReader


@dataclass(frozen=True)
class Written:
    """How many pairs were written, and how many chains were left out because a step is missing."""

    pairs: int
    incomplete: int


def write_pairs(run: RunReader, corpus: Corpus, file: Path, *, cap: int) -> Written:
    """Write the pairs of a scoter.distil run.

    Args:
        run: the run.
        corpus: the data it was made from.
        file: .jsonl; replaced.
        cap: latest events shown, as in the run.

    Raises:
        LeakageError: a chain is not of a train prefix, or not of the one that its key names.
        UsageError: the run was made from other data.
    """
    if run.info()["data_digest"] != corpus.digest:
        raise UsageError(
            f"Run {run.id} was made from other data than {corpus.name}. Name the data set it was made from."
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    part, written, incomplete = file.with_name(f".{file.name}.part"), 0, 0
    with part.open("w", encoding="utf-8") as out:
        for key, payload in _chains(run):
            example = checked_example(corpus, key, payload, cap=cap)
            if payload["missing"]:
                incomplete += 1
                continue
            out.write(json.dumps(_pair(key, payload, example, corpus.domain), ensure_ascii=False) + "\n")
            written += 1
    part.replace(file)
    return Written(written, incomplete)


def _chains(run: RunReader) -> Iterator[tuple[str, dict[str, Any]]]:
    for result in run.results("done"):
        if result.payload is not None:
            yield result.key, dict(result.payload)


def checked_example(corpus: Corpus, key: str, payload: dict[str, Any], *, cap: int) -> Example:
    """The train prefix a chain was made from, as shown.

    Raises:
        LeakageError: it is no train prefix, or the chain was made from another one.
    """
    split, _, rest = key.partition("/")
    user = corpus.user_index.get(str(payload["user"]))
    if split != "train" or payload["split"] != "train" or user is None:
        raise LeakageError(f"{key} is no train prefix; a student is tuned on train prefixes alone (split=train).")
    view, length = SplitView(corpus, "train"), int(rest.rpartition("@")[2])
    history = view.history(user)
    if not 0 < length <= len(history) or prefix_digest(history[:length]) != payload["prefix"]:
        raise LeakageError(
            f"The chain of {key} was not made from the first {length} events of the training history, so its pair "
            f"would teach events that are to be predicted. Run scoter.distil again on this data."
        )
    whole = view.example(user)
    return Example(key, whole.user, user, "train", whole.history[:length][-cap:])


def _pair(key: str, payload: dict[str, Any], example: Example, domain: Domain) -> dict[str, Any]:
    messages = prompts.load("scoter/teach").render(domain=domain, steps=payload["steps"], history=example.history)
    return {
        "key": key,
        "prefix": payload["prefix"],
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "completion": chain_text(payload),
    }


def chain_text(payload: dict[str, Any]) -> str:
    """A chain as text, as the teacher was asked to write it."""
    parts = [("overall_analysis", payload["overall"]), *zip(payload["steps"], payload["sections"], strict=True)]
    return "\n\n".join(f"## {name}\n{text}" for name, text in (*parts, ("summary", payload["summary"])))
