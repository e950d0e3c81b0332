"""A progress bar over the epochs of a fit: `with EpochBar(settings, "beauty, seed 1") as bar: fit(…, on_epoch=bar)`."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rec_models.fit import EpochRow, FitSettings


class EpochBar:
    """Shows epoch, loss, the last validation and the best so far; a fit that stops early ends its bar early.

    Args:
        settings: of the fit, for the most epochs there can be.
        title: what is being trained.
        console: where to draw.
    """

    def __init__(self, settings: FitSettings, title: str, *, console: Console | None = None) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[told]}"), console=console)
        self._task = self._progress.add_task(title, total=settings.epochs, told="")

    def __enter__(self) -> EpochBar:
        self._progress.start()
        return self

    def __call__(self, row: EpochRow) -> None:
        """Take a row of the fit's log."""
        told = f"loss {row.loss:.3f}"
        if row.valid_ndcg is not None:
            told += f"  valid N@10 {row.valid_ndcg:.4f}  best epoch {row.best_epoch}"
        self._progress.update(self._task, completed=row.epoch, told=told)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
