"""`whyrec audit`: whether a run holds a target it may not see, or a secret; what was checked, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from whyrec.workbench.audit.findings import Finding
    from whyrec.workbench.audit.run import Report

_FORMATS = ("table", "json")


def command(
    run: str = typer.Argument("latest", help="The run: its id, a beginning of it, or latest."),
    limit: int = typer.Option(40, min=1, help="Show so many findings, and so many notes."),
    output: str = typer.Option("table", "--format", help="table or json."),
) -> None:
    """Check that no prompt, result or trained artefact of a run holds a target it may not see, and no log a secret.

    Exit code 0: clean; 1: something was found; 2: the run cannot be checked.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from whyrec.cli.shared.progress import bar
    from whyrec.settings import read_settings
    from whyrec.trace.address import find_run
    from whyrec.workbench.audit.run import audit

    if output not in _FORMATS:
        raise UsageError(f"--format {output!r} is none of {', '.join(_FORMATS)}.")
    settings, console = read_settings(), Console(highlight=False)
    found = find_run(settings.home, run)
    try:
        with bar() as tell:
            report = audit(found, settings, progress=tell)
    finally:
        found.close()
    if output == "json":
        typer.echo(json.dumps(asdict(report), ensure_ascii=False, indent=1))
    else:
        _show(console, report, limit)
    raise typer.Exit(0 if report.clean else 1)


def _show(console: Console, report: Report, limit: int) -> None:
    """What was checked, what was found, what is worth knowing."""
    from rich.table import Table
    from rich.text import Text

    if not console.is_terminal:
        console.width = 200
    table = Table("checked", "how many", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for what in sorted(report.counts):
        table.add_row(what, f"{report.counts[what]:,}")
    console.print(f"Audit of {report.run}", markup=False)
    console.print(table)
    _list(console, "note", report.notes, limit)
    _list(console, "found", report.findings, limit)
    total = len(report.findings) + report.more
    verdict = "Clean: nothing was found." if report.clean else f"{total:,} found. See one with `whyrec trace show`."
    console.print(Text(verdict, style="green" if report.clean else "bold red"))


def _list(console: Console, title: str, findings: tuple[Finding, ...], limit: int) -> None:
    from rich.text import Text

    from whyrec.cli.trace_text import plain

    for one in findings[:limit]:
        console.print(Text.assemble(f"{title}: ", (f"{one.kind} ", "bold"), f"{one.where}: ", plain(one.what)))
    if len(findings) > limit:
        console.print(f"… and {len(findings) - limit:,} more; --limit shows them.", markup=False)
