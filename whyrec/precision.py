"""In which precision products are computed: measured, since what is fast on one processor is slow on the next.

With AVX512-BF16 or AMX a core multiplies bfloat16 some five times as fast as float32; with AVX2 alone fifty times as
slowly. So "auto" times two small products per device and number of threads, once per process, which takes
milliseconds, and takes float32 unless another precision is faster by half again (the casts between cost something, and
float32 is the more exact). Weights and sums stay float32 either way.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from whyrec.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    import torch

Kind: TypeAlias = Literal["float32", "bfloat16", "tf32"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "tf32"]

PRECISIONS: Final[tuple[Precision, ...]] = ("auto", "float32", "bfloat16", "tf32")
FASTER: Final = 1.5
"""How many times as fast as float32 another precision has to be."""

_SIDE = {"cpu": 256, "cuda": 2048}
_TRIES = 3


@dataclass(frozen=True)
class Choice:
    """A precision, and why.

    Attributes:
        kind: in which products are computed.
        why: "asked for", or the rates it was chosen by.
    """

    kind: Kind
    why: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.why})"


def check(wanted: str) -> Precision:
    """The precision of this name.

    Raises:
        UnknownNameError: there is none.
    """
    for name in PRECISIONS:
        if name == wanted:
            return name
    raise UnknownNameError("precision", wanted, PRECISIONS)


def choose(wanted: Precision, device: str = "cpu") -> Choice:
    """What is computed in on a device.

    Args:
        wanted: "auto" for the fastest here, or one by name.
        device: "cpu", "cuda", "cuda:1".

    Raises:
        UsageError: tf32 on a processor, which only graphics cards have.
    """
    if wanted == "tf32" and not device.startswith("cuda"):
        raise UsageError("The precision tf32 is one of graphics cards; on a processor use float32, bfloat16 or auto.")
    if wanted != "auto":
        return Choice(wanted, "asked for")
    import torch

    found = rates(device, torch.get_num_threads())
    best = max(found, key=lambda kind: found[kind])
    kind = best if found[best] >= FASTER * found["float32"] else "float32"
    told = ", ".join(f"{name} {rate:.3g}" for name, rate in found.items())
    threads = "" if device.startswith("cuda") else f" on {torch.get_num_threads()} thread(s)"
    return Choice(kind, f"measured here: {told} GFLOP/s{threads}")


@cache
def rates(device: str, threads: int) -> dict[Kind, float]:
    """GFLOP/s of a small square product by precision, the best of three; measured once per device and threads."""
    import torch

    side = _SIDE["cuda" if device.startswith("cuda") else "cpu"]
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        one = torch.rand(side, side).to(device)
        half = one.bfloat16()
        found: dict[Kind, float] = {"float32": _rate(lambda: one @ one, side, device)}
        found["bfloat16"] = _rate(lambda: half @ half, side, device)
        if device.startswith("cuda"):
            with products("tf32"):
                found["tf32"] = _rate(lambda: one @ one, side, device)
    return found


def _rate(product: Callable[[], torch.Tensor], side: int, device: str) -> float:
    """The first product is not counted: kernels are made for it."""
    seconds = []
    for _ in range(_TRIES + 1):
        began = time.perf_counter()
        product()
        if device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return 2e-9 * side**3 / max(min(seconds[1:]), 1e-9)


@contextlib.contextmanager
def products(kind: Kind) -> Iterator[None]:
    """Products of float32 inside are those of TF32, or whole; what was set before is set again."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if kind == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def casting(kind: Kind, device: str = "cpu") -> torch.autocast:
    """A context in which a forward pass multiplies in bfloat16, where that is the kind."""
    import torch

    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=kind == "bfloat16")
