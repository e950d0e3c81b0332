"""A step matrix as a person reads it: its shape, a line per step with its text, and what is near to it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from graphs.scoter.step_store import StepStore
from whyrec.errors import UsageError
from whyrec.runs import RunReader


def show_steps(run: RunReader, key: str, *, nearest: int) -> list[str]:
    """Lines about one prefix of a scoter.distil run.

    Args:
        run: opened.
        key: of an example, a user's id, or a prefix digest; "" for any. The first that matches is shown.
        nearest: how many steps of other prefixes are shown below each.

    Raises:
        UsageError: the run has no matrices, or none of this user, example or prefix.
    """
    store = StepStore.open(run.folder / "steps")
    keys = store.keys
    if not keys:
        raise UsageError(f"Run {run.id} has no step matrix yet; the same `whyrec run` command goes on with it.")
    first_of: dict[str, str] = {}
    for one, prefix in keys.items():
        first_of.setdefault(prefix, one)
    matching = [one for one, prefix in keys.items() if key in ("", one, prefix, _user(one))]
    if not matching:
        raise UsageError(
            f"Run {run.id} has no step matrix of {key!r}. Name a user, a prefix digest, or the key of an example, "
            f"such as {next(iter(keys))}."
        )
    asked = matching[0]
    found = store.of(asked, keys[asked])
    assert found is not None, "a key of the store has its matrix"
    steps, width = store.shape
    about = store.about
    lines = [
        f"{run.id}: {len(store):,} prefixes along {about.template}, by {about.embedder}",
        f"{asked}: prefix {keys[asked]}, H {found[0].dtype} [{steps}, {width}]",
    ]
    if key and len(matching) > 1:
        lines.append(f"also: {', '.join(matching[1:])}")
    sections = _sections(run, asked)
    for step, (header, there) in enumerate(zip(about.steps, found[1], strict=True)):
        length = float(np.linalg.norm(found[0][step].astype(np.float32)))
        said = f"length {length:.2f}: {sections[step]}" if there else "missing: a zero row"
        lines.append(f"  {step + 1}. {header} ({said})")
        lines += _near(run, store, (keys[asked], step), first_of, nearest)
    return lines


def _near(
    run: RunReader, store: StepStore, of: tuple[str, int], first_of: Mapping[str, str], nearest: int
) -> Iterator[str]:
    prefix, step = of
    for other, cosine in store.nearest(prefix, step, nearest) if nearest else ():
        yield f"       {cosine:.3f}  {first_of[other]}  {_sections(run, first_of[other])[step]}"


def _user(key: str) -> str:
    """ "train/u1@5" is of u1."""
    return key.partition("/")[2].rpartition("@")[0] or key.partition("/")[2]


def _sections(run: RunReader, key: str) -> tuple[Any, ...]:
    """The texts of a key's steps."""
    result = run.result(key)
    if result is None or result.payload is None:
        raise UsageError(f"Run {run.id} keeps a matrix of {key}, but no chain; the same `whyrec run` goes on with it.")
    return tuple(result.payload["sections"])
