"""What a table says of the language models in it: real or a double, how large, and in whose words.

A folder of weights says its own size; of a model behind a server nobody here can count it, so whoever runs the table
says it (`whyrec eval --about`), with its form and whether it was tuned. `need_evidence` holds the page of evidence to
that: no doubles, no model of unknown size, no path of somebody's machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.results import ModelNote, Results
from whyrec.errors import UsageError
from whyrec.llm.registry import is_real

_HEADER = 1 << 27  # bytes of a header above which a file is none


def model_notes(names: Sequence[str], about: Sequence[str], *, home: Path) -> dict[str, ModelNote]:
    """A note for each model.

    Args:
        names: of models, as `--llm` takes them.
        about: "NAME=WORDS" each; where there is one model, its words alone.
        home: models may lie in `home/models`.

    Raises:
        UsageError: words about a model that is not among them.
    """
    said: dict[str, str] = {}
    for text in about:
        name = next((n for n in sorted(names, key=len, reverse=True) if text.startswith(f"{n}=")), "")
        if not name and len(names) != 1:
            raise UsageError(
                f"--about {text!r} speaks of none of the models here ({', '.join(names)}). Write NAME=WORDS, as in "
                f"--about '{names[0]}=494 M parameters, Q4_K_M, not tuned'."
            )
        said[name or names[0]] = text[len(name) + 1 :] if name else text
    return {n: ModelNote(real=is_real(n), about=said.get(n, ""), parameters=parameters(n, home=home)) for n in names}


def parameters(name: str, *, home: Path) -> int:
    """How many parameters the weights of a model have whose files are here; 0 where they are not."""
    rest = name.partition(":")[2].partition("?")[0]
    if not rest:
        return 0
    for folder in (Path(rest), home / "models" / rest):
        try:
            files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
        except (OSError, ValueError):  # a name too long or with characters that no file has
            continue
        if files:
            return sum(_of_file(file) for file in files)
    return 0


def _of_file(file: Path) -> int:
    """Elements of all tensors that a safetensors file's header names."""
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        if not 2 <= size <= _HEADER:
            return 0
        try:
            header = json.loads(opened.read(size))
        except ValueError:
            return 0
    if not isinstance(header, Mapping):
        return 0
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def need_evidence(models: Mapping[str, ModelNote]) -> None:
    """Before a table is computed for the page of evidence.

    Raises:
        UsageError: a double is among the models, or one is named by a path, or nobody said how large it is and whether
            it was tuned.
    """
    for name, note in models.items():
        if not note.real:
            raise UsageError(
                f"The page of evidence holds real language models only, and {name} is a built-in double. Name models "
                "with --llm, or rows without one with --cells, or another folder with --results."
            )
        if name.partition(":")[2].startswith(("/", "~")):
            raise UsageError(
                f"{name} would put a path of this machine on the page of evidence. Name the model by its name in "
                "`whyrec llm get` (local:NAME), by a server, or by a folder seen from here."
            )
        if not note.about:
            raise UsageError(
                f"The page of evidence says of each model how large it is and whether it was tuned: add --about "
                f"'{name}=PARAMETERS, form, tuned or not'."
            )


def asked_in(table: Results) -> list[str]:
    """Models that have a part in a row of a table."""
    return list(dict.fromkeys(name for row in table.rows.values() for name in row.asked))
