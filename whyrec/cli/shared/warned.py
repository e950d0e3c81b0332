"""What the library warns of, as commands say it: a line on standard error, so that programs can read the output."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import typer


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """While it is open, warnings about data are lines; all others stay what they were."""
    from whyrec.api.data import DataWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        as_ever = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, DataWarning):
                typer.echo(f"Warning: {message}", err=True)
            else:
                as_ever(message, category, *where, **more)

        warnings.showwarning = show  # restored by catch_warnings
        yield
