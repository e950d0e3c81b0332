"""Run every benchmark, print a table, write build/bench.json as {name: {value, unit, bound, holds}}.

A bound is "<= x"; a row without one is reported only. Exits 1 if a bound does not hold. `python -m bench NAME...`
runs some of: llm, sasrec, data. `python -m bench local --model FOLDER` compares who runs local weights.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOMS = ("data", "llm", "sasrec")


def main(names: list[str]) -> int:
    """Measure the named rooms, or all."""
    if names[:1] == ["local"]:
        return int(importlib.import_module("bench.local").main(names[1:]))
    if {"-h", "--help"} & set(names):
        print(__doc__)
        return 0
    unknown = set(names) - set(ROOMS)
    if unknown:
        print(f"bench: no room named {sorted(unknown)[0]!r}; rooms are {', '.join(ROOMS)}.", file=sys.stderr)
        return 2
    rows: dict[str, dict[str, Any]] = {}
    for room in names or ROOMS:
        rows.update(importlib.import_module(f"bench.{room}").measure())
    out = Path("build/bench.json")
    out.parent.mkdir(exist_ok=True)
    kept = json.loads(out.read_text()) if names and out.exists() else {}
    out.write_text(json.dumps(kept | rows, indent=1) + "\n")
    table = Table(title=f"whyrec bench ({out})", title_justify="left")
    for heading in ("what", "value", "unit", "bound", "holds"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for name, row in rows.items():
        holds = {True: "[green]yes[/green]", False: "[red]no[/red]", None: "-"}[row["holds"]]
        table.add_row(name, f"{row['value']:.3g}", row["unit"], row["bound"] or "-", holds)
    Console(width=120).print(table)
    return int(any(row["holds"] is False for row in rows.values()))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
