"""`whyrec export`: a run's calls as spans, to a file or to an OTLP/HTTP receiver such as Phoenix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from whyrec.errors import UsageError

if TYPE_CHECKING:
    from whyrec.cli.shared.progress import Tell
    from whyrec.runs import RunReader

_BATCH = 200


def command(
    run: str = typer.Argument("latest", help="The run: its id, a beginning of it, or latest."),
    otlp: str = typer.Option("", "--otlp", metavar="URL", help="An OTLP/HTTP receiver, as http://127.0.0.1:6006."),
    jsonl: Path | None = typer.Option(None, "--jsonl", metavar="FILE", help="A file, one span per line."),
    after: int = typer.Option(0, min=0, help="Only what begins with a call numbered above this."),
    batch: int = typer.Option(_BATCH, min=1, max=10_000, help="So many spans are sent at once."),
    header: list[str] = typer.Option([], "--header", help="NAME=VALUE, sent along; repeatable."),
    tries: int = typer.Option(6, min=1, help="So often a batch is sent before giving up."),
) -> None:
    """Write a run's calls as spans with OpenInference names: a trace per example, in it its nodes, in these the calls.

    Sending a span twice changes nothing, and --after goes on where an export ended.
    """
    from whyrec.cli.shared.progress import bar
    from whyrec.settings import read_settings
    from whyrec.trace.address import find_run
    from whyrec.trace.export_otlp import Receiver

    if bool(otlp) == (jsonl is not None):
        raise UsageError("Say where the spans go: --otlp URL or --jsonl FILE.")
    found = find_run(read_settings().home, run)
    try:
        if after > (calls := found.counts().calls):
            raise UsageError(f"--after {after}: {found.id} has {calls:,} calls, so nothing comes after that.")
        with bar() as tell:
            if jsonl is not None:
                typer.echo(_write(found, jsonl, after, tell))
            else:
                receiver = Receiver(otlp, dict(map(_pair, header)), tries=tries)
                typer.echo(_send(found, receiver, (after, batch), tell))
    finally:
        found.close()


def _write(run: RunReader, file: Path, after: int, tell: Tell) -> str:
    """Write all spans; a file begun before is gone on with where `after` says so."""
    from whyrec.workbench.spans import spans

    calls, written = run.counts().calls, 0
    try:
        with file.open("a" if after else "w", encoding="utf-8") as out:
            for exported in spans(run, after=after):
                out.writelines(f"{span.json()}\n" for span in exported.spans)
                written += len(exported.spans)
                tell("calls", exported.call, calls)
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error}).") from None
    return f"{written:,} spans of calls {after + 1:,} to {calls:,} of {run.id} are in {file}."


def _send(run: RunReader, receiver: object, where: tuple[int, int], tell: Tell) -> str:
    """Send all spans, batch after batch; an error says from which call to go on."""
    from whyrec.trace.export_otlp import Receiver, Sent
    from whyrec.trace.export_spans import Span
    from whyrec.workbench.spans import resource, spans

    assert isinstance(receiver, Receiver)
    (after, size), calls, common = where, run.counts().calls, resource(run)
    waiting: list[Span] = []
    done, last, arrived, refused, why, again = after, after, 0, 0, "", 0

    def so_far() -> str:
        return f"{arrived:,} spans had arrived. Go on with: whyrec export {run.id} --otlp URL --after {done}"

    def send() -> Sent:
        try:
            return receiver.send(waiting, common)
        except UsageError as error:
            raise UsageError(f"{error} {so_far()}") from None
        except KeyboardInterrupt:
            typer.echo(f"Interrupted. {so_far()}", err=True)
            raise typer.Exit(130) from None

    for exported in spans(run, after=after):
        waiting.extend(exported.spans)
        last = exported.call
        if len(waiting) < size and last < calls:
            continue
        sent = send()
        arrived, refused, why = arrived + sent.arrived, refused + sent.refused, sent.why or why
        again += sent.tries - 1
        waiting, done = [], last
        tell("calls", last, calls)
    said = f"{arrived:,} spans of calls {after + 1:,} to {last:,} of {run.id} arrived"
    said += f", {refused:,} were refused ({why or 'no reason given'})" if refused else ""
    return said + (f"; batches were sent again {again} times." if again else ".")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError("--header is NAME=VALUE, as authorization=Bearer….")
    return name.strip(), value.strip()
