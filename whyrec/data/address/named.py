"""Names that people gave to their data: `$WHYREC_HOME/data.toml`, a name and an address a line.

    shop = "/data/clicks.csv?items=/data/products.csv&item=what&time=when&user=who"

Paths in it are whole, so that a name means the same in every working folder. `whyrec data add` and `whyrec.data.add`
write it, by hand it may be edited as well.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from whyrec.errors import UsageError
from whyrec.sqlite import make_folder

FILE = "data.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_GENERATED = ("world", "facts")


def read(home: Path) -> dict[str, str]:
    """Name -> address; {} where there is no file.

    Raises:
        UsageError: the file is not TOML, or a line holds something else than text.
    """
    path = home / FILE
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read ({error}). Mend it, or move it away.") from None
    for name, address in found.items():
        if not isinstance(address, str):
            raise UsageError(f'{path}: {name} is not of the form {name} = "PATH?user=…&item=…". Mend it.')
    return found


def check(name: str) -> None:
    """Refuse what no name may be.

    Raises:
        UsageError: it has other characters than letters, digits, '_', '-' and '.', or is that of generated data.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for data: take letters, digits, '_', '-' and '.', 64 at most.")
    if name in _GENERATED:
        raise UsageError(f"{name} is what generated data is called; take another name.")


def write(home: Path, names: Mapping[str, str]) -> Path:
    """Replace the file in one step; returns its path."""
    make_folder(home)
    path = home / FILE
    lines = [
        f"{json.dumps(name)} = {json.dumps(address, ensure_ascii=False)}\n" for name, address in sorted(names.items())
    ]
    draft = path.with_suffix(".toml.part")
    draft.write_text("".join(lines), encoding="utf-8")
    draft.replace(path)
    return path
