"""CPU seconds to load the two data sets people start with."""

from __future__ import annotations

import statistics
import time
from typing import Any

from whyrec.data import load
from whyrec.errors import UnknownNameError
from whyrec.settings import read_settings

REPEATS = 5


def measure() -> dict[str, dict[str, Any]]:
    """Median CPU seconds of five loads per data set; a set that is not on this machine is left out and named."""
    settings = read_settings()
    seconds: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        for name in ("amazon14_beauty", "ml-1m"):
            start = time.process_time()
            try:
                load(name, settings=settings)
            except UnknownNameError:
                print(f"bench: {name} is not under WHYREC_DATA; left out.")
                continue
            seconds.setdefault(name, []).append(time.process_time() - start)
    return {
        f"load {name}": {"value": statistics.median(s), "unit": "CPU s", "bound": "", "holds": None}
        for name, s in seconds.items()
    }
