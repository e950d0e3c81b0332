"""What `--quiet` says to libraries that are imported later."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_BARS = "HF_HUB_DISABLE_PROGRESS_BARS"  # transformers and the hub read it when they are imported


@contextlib.contextmanager
def without_bars(quiet: bool) -> Iterator[None]:
    """While it is open, and if it is to be quiet, libraries draw no bars, not even at a terminal."""
    before = os.environ.get(_BARS)
    if quiet:
        os.environ[_BARS] = "1"
    try:
        yield
    finally:
        if quiet and before is None:
            del os.environ[_BARS]
        elif quiet and before is not None:
            os.environ[_BARS] = before
