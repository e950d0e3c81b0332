"""`whyrec tune ROWS --base BASE`: a language model learns a paper's step, or anybody's conversations.

`whyrec tune cot_rec.ranker …` is short for `whyrec tune start cot_rec.ranker …`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from whyrec.cli.shared.options import PRECISION
from whyrec.cli.shared.typed import pairs
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from whyrec.api.tuning import Told

_LINE_EVERY_S = 5.0


class _Starting(TyperGroup):
    """What is no command of the group is what is to be tuned."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["start", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Starting,
    no_args_is_help=True,
    help="Tune a language model: whyrec tune cot_rec.ranker --data world --base tiny. Then ask it: --llm tuned:NAME.",
)


@app.command("start")
def start(
    what: str = typer.Argument(help="cot_rec.ranker, or a file of rows or conversations (JSON lines)."),
    base: str = typer.Option("", "--base", help="What is tuned: local:NAME, a folder, or tiny (made on the spot)."),
    data: str = typer.Option("", "--data", help="The data set whose validation targets the rows are made of."),
    mode: str = typer.Option("titles", help="What the ranker is told: titles, preference or perception."),
    option: list[str] = typer.Option(
        [], "--option", "-o", help="An option of cot_rec.recommend, as key=value; repeatable."
    ),
    users: int | None = typer.Option(None, min=1, help="At most this many users of the split."),
    preset: str = typer.Option("", help="cot_rec.ranker, pulse.scorer, rallrec.expert, scoter.student or tiny."),
    objective: str | None = typer.Option(None, help="letters, vocabulary, pointwise or completion."),
    method: str | None = typer.Option(None, help="lora (adapters) or all (every weight)."),
    rank: int | None = typer.Option(None, min=1, help="Of the adapters."),
    epochs: int | None = typer.Option(None, min=1, help="At most."),
    lr: float | None = typer.Option(None, help="Learning rate."),
    rows_per_step: int | None = typer.Option(None, min=1, help="Rows a step learns from."),
    at_once: int | None = typer.Option(None, "--at-once", min=1, help="Tokens read in one pass: memory, not results."),
    longest: int | None = typer.Option(None, min=1, help="Tokens of a row at most; older history is left out."),
    recompute: bool | None = typer.Option(None, "--recompute", help="Less memory, a third more time."),
    every: int | None = typer.Option(None, "--checkpoint-steps", min=0, help="Steps between checkpoints in an epoch."),
    dev: float = typer.Option(0.1, min=0.0, max=0.9, help="Share of the users held out to stop by."),
    seed: int = typer.Option(0, help="Of everything random."),
    name: str = typer.Option("", help="What it is called."),
    rows: Path | None = typer.Option(None, help="Also write the rows to this file."),
    device: str = typer.Option("cpu", help="cpu or cuda."),
    precision: str | None = PRECISION,
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print only the name of what was tuned."),
) -> None:
    """Tune a language model, keep it in $WHYREC_HOME/tuned, and say how the held-out rows see it.

    The same command goes on where it was killed, and finds it finished afterwards. Exit codes: 0; 2 usage or
    environment; 130 interrupted.
    """
    if not base:
        raise UsageError(
            f"whyrec tune needs --base, as in: whyrec tune {what} --base tiny, or --base local:smollm2-135m."
        )
    _start(dict(locals()))


@app.command("ls")
def ls() -> None:
    """List what was tuned: name, base, rows."""
    from whyrec.api.tuning import list_tuned
    from whyrec.settings import read_settings

    for one in (found := list_tuned()):
        rows = one.manifest["rows"]
        typer.echo(f"{one.llm}  from {one.manifest['base']['name']}, {rows['train']:,} rows")
    if not found:
        typer.echo(
            f"No model was tuned in {read_settings().home} yet: whyrec tune cot_rec.ranker --data world --base tiny."
        )


@app.command("show")
def show(
    name: str = typer.Argument(help="Its name or an unmistakable beginning of it."),
    json: bool = typer.Option(False, "--json", help="Print the manifest."),
) -> None:
    """Show what a tuned model was made of, and how its held-out rows saw it epoch by epoch."""
    import json as written

    from whyrec.api.tuning import open_tuned

    found = open_tuned(name)
    if json:
        typer.echo(written.dumps(found.manifest, ensure_ascii=False, indent=1))
        return
    for line in str(found)[1:-1].split(", folder "):
        typer.echo(line)
    for row in found.curve:
        typer.echo(_of_epoch(row["epoch"], row["loss"], row["dev"]))


@app.command("merge")
def merge(
    name: str = typer.Argument(help="Its name or an unmistakable beginning of it."),
    folder: Path = typer.Argument(help="A folder that is not there yet."),
) -> None:
    """Write a tuned model as a plain folder of weights, for any program that opens those."""
    from whyrec.api.tuning import open_tuned

    made = open_tuned(name).merge(folder)
    typer.echo(f"Written to {made}: --llm transformers:{made}")


def _start(given: dict[str, Any]) -> None:
    from rich.console import Console

    from whyrec.api.tuning import tune
    from whyrec.settings import read_settings

    console, quiet = Console(highlight=False), given["quiet"]
    settings = read_settings(precision=given["precision"], quiet=quiet or None)
    changes = ("objective", "method", "rank", "epochs", "lr", "rows_per_step", "longest", "recompute", "device")
    change = {name: given[name] for name in changes if given[name] is not None}
    change |= {
        to: given[name]
        for name, to in (("at_once", "tokens_at_once"), ("every", "checkpoint_steps"))
        if given[name] is not None
    }
    how: dict[str, Any] = {name: given[name] for name in ("mode", "users", "dev", "seed", "name")}
    how |= {"preset": given["preset"]} if given["preset"] else {}
    how |= {"rows": given["rows"]} if given["rows"] else {}
    options: dict[str, Any] = dict(pairs(given["option"], such_as="candidates=10"))
    how |= {"retriever": options.pop("retriever")} if "retriever" in options else {}
    try:
        found = tune(
            given["what"],
            given["data"] or None,
            base=given["base"],
            change=change,
            options=options,
            progress=False if quiet else _Lines(console),
            settings=settings,
            **how,
        )
    except KeyboardInterrupt:
        console.print("Stopped. What its last checkpoint has is kept; the same command goes on from there.")
        raise typer.Exit(130) from None
    if quiet:
        typer.echo(found.llm)
        return
    done = "Kept as" if found.new else "It was tuned before, as"
    console.print(f"{done} {found.llm}: whyrec run cot_rec.recommend --llm {found.llm} …", soft_wrap=True)
    console.print(f"Licence of the base: {found.manifest['base']['licence']}", style="dim", soft_wrap=True)


class _Lines:
    """Says in lines what a tuning is about to do, where it stands every few seconds, and each epoch's end."""

    def __init__(self, console: Any) -> None:
        self._console, self._last = console, float("-inf")

    def __call__(self, now: Told) -> None:
        from whyrec.api.tuning import Plan, Step

        if isinstance(now, Plan):
            about = f" ({now.about})" if now.about else ""
            held = f"{now.train:,} rows to learn from, {now.dev:,} held out"
            how = f"{now.settings.objective}, {now.settings.method}, at most {now.settings.epochs} epochs"
            self._say(f"{now.name} from {now.base}{about}: {held}; {how}")
            self._say(f"about {now.memory / 1e9:.1f} GB of memory; products in {now.precision}")
        elif isinstance(now, Step):
            if time.monotonic() - self._last >= _LINE_EVERY_S:
                self._last = time.monotonic()
                told = f"step {now.step} of {now.steps}, loss {now.loss:.3f}, {now.rate:.1f} rows/s"
                self._say(f"{told}, {now.eta_s:.0f} s left at most")
        else:
            dev = None if now.dev is None else {"n": now.dev.n, "loss": now.dev.loss, "hr1": now.dev.hr1}
            more = {} if now.dev is None else {"ndcg": now.dev.ndcg, "chance": now.dev.chance}
            self._say(_of_epoch(now.epoch, now.loss, None if dev is None else {**dev, **more}))

    def _say(self, line: str) -> None:
        self._console.print(line, style="dim", soft_wrap=True)


def _of_epoch(epoch: int, loss: float | None, dev: dict[str, Any] | None) -> str:
    """A line of a tuning's log."""
    line = "as it came" if not epoch else f"epoch {epoch}, loss {loss:.3f}"
    if dev is None:
        return f"{line}; no rows held out"
    line += f"; {dev['n']:,} held-out rows: loss {dev['loss']:.3f}"
    if dev["hr1"] is not None and dev["hr1"] == dev["hr1"]:
        line += f", HR@1 {dev['hr1']:.3f}, NDCG {dev['ndcg']:.3f} (chance HR@1 {dev['chance']:.3f})"
    return line
