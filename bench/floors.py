"""What arithmetic alone costs on this processor: the best rate of a product of given shape, in any precision.

The floor of a product is taken at the model's own shapes: a square product of 2048 runs faster than any that a model of
width 64 can ask for, and how much faster differs from one cache to the next. Everything is CPU time, all threads
together, so neighbours and waiting count little.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from whyrec.precision import rates

TRIES = 7
_SLOW = 8.0  # a precision that is so many times slower than another in a small product is not timed in large ones


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call, all threads together."""
    start = time.process_time()
    work()
    return time.process_time() - start


def best(work: Callable[[], object]) -> float:
    """The least of some calls, the first not counted."""
    work()
    return min(cpu(work) for _ in range(TRIES))


def kinds(*, exact: bool) -> list[torch.dtype]:
    """Precisions worth timing here; `exact` leaves float32 alone (places are counted, not approximated)."""
    found = rates("cpu", torch.get_num_threads())
    fastest = max(found.values())
    some = [kind for kind, rate in found.items() if rate * _SLOW > fastest and not (exact and kind != "float32")]
    return [getattr(torch, kind) for kind in some]


@cache
def seconds_per_flop(n: int, k: int, m: int, *, threads: int, exact: bool = False) -> float:
    """CPU seconds per floating-point operation of [n, k] @ [k, m], its result written into a buffer."""
    assert threads == torch.get_num_threads()
    found = []
    for kind in kinds(exact=exact):
        one, two = torch.rand(n, k).to(kind), torch.rand(k, m).to(kind)
        out = torch.empty(n, m, dtype=kind)
        found.append(best(lambda one=one, two=two, out=out: torch.mm(one, two, out=out)) / (2 * n * k * m))
    return min(found)


@cache
def seconds_per_exponential(n: int, m: int, *, threads: int) -> float:
    """CPU seconds per exponential over a buffer [n, m]."""
    assert threads == torch.get_num_threads()
    found = []
    for kind in kinds(exact=False):
        rows, out = torch.rand(n, m).to(kind), torch.empty(n, m, dtype=kind)
        found.append(best(lambda rows=rows, out=out: torch.exp(rows, out=out)) / (n * m))
    return min(found)


def processor() -> str:
    """The processor, and what of it matters here."""
    name, flags = platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        said = {key.strip(): value.strip() for key, value in fields.items()}
        name, flags = said.get("model name", name), said.get("flags", "")
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags.split()]
    told = ", ".join(f"{kind} {rate:.3g}" for kind, rate in rates("cpu", torch.get_num_threads()).items())
    return (
        f"{name}, {os.cpu_count()} cores, {' '.join(known) or 'flags unknown'}; torch uses "
        f"{torch.backends.cpu.get_cpu_capability()}; {told} GFLOP/s on {torch.get_num_threads()} thread(s)"
    )
