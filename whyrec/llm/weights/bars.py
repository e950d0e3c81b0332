"""Bars of transformers, the hub and the reader of GGUF: drawn at a terminal, and nowhere else.

They redraw a line by going back to its beginning, which a file or a pipe keeps as one endless line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch


def somebody_looks() -> bool:
    """Whether standard error, which bars are drawn on, is a terminal."""
    return sys.stderr.isatty()


@contextmanager
def bars(*, wanted: bool = True) -> Iterator[None]:
    """While it is open, transformers draws bars only if they are wanted and somebody looks; needs transformers."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    if (wanted and somebody_looks()) or not shown:
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


@contextmanager
def bars_of_gguf(*, wanted: bool = True) -> Iterator[None]:
    """The same for GGUF files, whose reader in transformers has a bar of its own that no switch turns off."""
    with bars(wanted=wanted):
        if wanted and somebody_looks():
            yield
            return
        from transformers import modeling_gguf_pytorch_utils as reader

        drawn: Any = getattr(reader, "tqdm", None)
        if drawn is None:
            yield
            return
        with patch.object(reader, "tqdm", partial(drawn, disable=True)):
            yield
