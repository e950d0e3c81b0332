"""`whyrec fit MODEL` and the list of what was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from whyrec.cli.shared.options import PRECISION
from whyrec.errors import UsageError

if TYPE_CHECKING:
    from rec_models.fit import EpochRow


def command(
    model: str = typer.Argument("", help="sasrec, bert4rec, itemcf or popularity; without one, what was trained."),
    data: str = typer.Option("", "--data", help="The data set: a name, a path or world."),
    items: str = typer.Option(
        "random", help="Where the items start: random, caption, upstream, or a run of cot_rec.describe (or latest)."
    ),
    embedder: str = typer.Option("lsa", "--embedder", "--embed", help="Makes texts into vectors (docs/providers.md)."),
    mapping: str = typer.Option("pca", "--map", help="To the recommender's width: pca, truncate or random."),
    norm: float = typer.Option(1.0, min=0.001, help="Length of rows that start from text."),
    seed: int = typer.Option(0, "--seed", help="Of starting weights, order and dropout."),
    epochs: int | None = typer.Option(None, min=1, help="At most this many epochs, for a quick look."),
    device: str = typer.Option("cpu", help="cpu or cuda."),
    precision: str | None = PRECISION,
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print only the name of what was trained."),
) -> None:
    """Train a recommender, keep it in $WHYREC_HOME/recommenders, and say how good it is on the test split.

    The same command goes on where it was killed, and finds it finished afterwards. Exit codes: 0; 2 usage or
    environment; 130 interrupted.
    """
    if not model:
        _list()
        return
    if not data:
        raise UsageError("whyrec fit needs --data, as in: whyrec fit sasrec --data world.")
    _fit(dict(locals()))


def _fit(given: dict[str, Any]) -> None:
    from rich.console import Console

    from whyrec.api.data import load_data
    from whyrec.api.models import fit
    from whyrec.api.runs import open_run
    from whyrec.cli.shared.quiet import without_bars
    from whyrec.cli.shared.warned import warnings_as_lines
    from whyrec.settings import read_settings

    console = Console(highlight=False)
    settings = read_settings(precision=given["precision"])

    def tell(row: EpochRow) -> None:
        found = "" if row.valid_ndcg is None else f", validation N@10 {row.valid_ndcg:.4f}"
        console.print(f"epoch {row.epoch}, loss {row.loss:.3f}{found}, {row.seconds:.0f} CPU s", style="dim")

    with warnings_as_lines():
        data, items = load_data(given["data"], settings=settings), given["items"]
    start = items if items in ("random", "caption", "upstream") else open_run(items, settings=settings)
    told = {name: given[name] for name in ("embedder", "mapping", "norm", "seed", "epochs", "device")}
    try:
        with without_bars(given["quiet"]):
            found = fit(
                given["model"], data, items=start, progress=False if given["quiet"] else tell, settings=settings, **told
            )
    except KeyboardInterrupt:
        console.print("Stopped. Finished epochs are kept; the same command goes on from there.")
        raise typer.Exit(130) from None
    if given["quiet"]:
        typer.echo(found.name)
        return
    for name, split in (("validation", "valid"), ("test", "test")):
        numbers = found.evaluate(split)  # type: ignore[arg-type]
        console.print(f"{name}: {', '.join(f'{metric} {value:.4f}' for metric, value in numbers.items())}")
    console.print(f"Kept as {found.name}: whyrec recommend {found.name} USER", soft_wrap=True)


def _list() -> None:
    from whyrec.api.models import model_names
    from whyrec.settings import read_settings

    settings = read_settings()
    for name in (found := model_names(settings)):
        typer.echo(name)
    if not found:
        typer.echo(f"No recommender was trained in {settings.home} yet: whyrec fit sasrec --data world.")
