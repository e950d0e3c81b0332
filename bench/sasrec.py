"""SASRec on Beauty against what the arithmetic alone would cost: an epoch of training, and a full ranking.

A floor is FLOPs at the best rate of ten 2048^3 products (same dtype, same threads), plus the exponentials of the
softmax. Everything is CPU time, so neighbours on the machine and waiting count little; floor and work are measured in
turns, five times, and the median ratio is reported.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from rec_models.fit import FitSettings, Loop
from rec_models.rank import places
from rec_models.sequential.batches import history_rows
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from whyrec.data import load
from whyrec.data.corpus import Corpus, IntArray
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError
from whyrec.settings import Settings, read_settings

REPEATS = 5
# One head, as in SASRec's own code (spec 6).
NETWORK = SASRecSettings(width=64, blocks=2, heads=1, dropout=0.3, max_length=50)
EPOCH_BOUND, RANKING_BOUND = 2.2, 2.5


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call, all threads together."""
    start = time.process_time()
    work()
    return time.process_time() - start


def seconds_per_flop() -> float:
    """CPU seconds per floating-point operation in the best of ten 2048^3 float32 products."""
    one, two, out = torch.rand(2048, 2048), torch.rand(2048, 2048), torch.empty(2048, 2048)
    return min(cpu(lambda: torch.mm(one, two, out=out)) for _ in range(10)) / (2 * 2048**3)


def seconds_per_exponential(n_items: int) -> float:
    """CPU seconds per exponential, best of ten over a buffer of 128 rows of the catalogue."""
    rows, out = torch.rand(128, n_items), torch.empty(128, n_items)
    return min(cpu(lambda: torch.exp(rows, out=out)) for _ in range(10)) / rows.numel()


def forward_flops(lengths: IntArray, network: SASRecSettings = NETWORK) -> float:
    """Multiplications and additions of the blocks over real places only; place t attends to t places."""
    d = network.width
    per_place = 2 * d * 3 * d + 2 * d * d + 2 * 2 * d * network.inner * d
    attended = (lengths * (lengths + 1) / 2).sum()
    return float(network.blocks * (lengths.sum() * per_place + 2 * 2 * d * attended))


def epoch_floor(loop: Loop, n_items: int) -> float:
    """CPU seconds that an epoch cannot do without."""
    lengths = loop.batcher.rows.lengths - 1
    logits = 2 * float(lengths.sum()) * NETWORK.width * n_items
    flops = 3 * forward_flops(lengths) + 3 * logits
    return flops * seconds_per_flop() + float(lengths.sum()) * n_items * seconds_per_exponential(n_items)


def ranking_floor(view: SplitView) -> float:
    """CPU seconds that ranking every user cannot do without."""
    lengths = history_rows(view, NETWORK.max_length).lengths
    logits = 2 * len(lengths) * NETWORK.width * view.corpus.n_items
    return (forward_flops(lengths) + logits) * seconds_per_flop()


def on_threads(corpus: Corpus, threads: int) -> dict[str, dict[str, Any]]:
    """Rows for this many threads."""
    torch.set_num_threads(threads)
    model = SASRec(corpus.n_items, NETWORK, seed=1)
    loop = Loop(model, SplitView(corpus, "valid"), FitSettings(users_per_step=128), 1)
    test = SplitView(corpus, "test")
    loop.train(), places(model, test)
    epochs, rankings = [], []
    for _ in range(REPEATS):
        epochs.append((epoch_floor(loop, corpus.n_items), cpu(loop.train)))
        rankings.append((ranking_floor(test), cpu(lambda: places(model, test))))
    named = f"({threads} thread{'s' * (threads > 1)})"
    rows: dict[str, dict[str, Any]] = {}
    for what, found, bound in (("epoch", epochs, EPOCH_BOUND), ("full ranking", rankings, RANKING_BOUND)):
        ratio = statistics.median(spent / floor for floor, spent in found)
        spent = statistics.median(spent for _, spent in found)
        rows[f"sasrec {what} {named}"] = {"value": spent, "unit": "CPU s", "bound": "", "holds": None}
        rows[f"sasrec {what} over its floor {named}"] = {
            "value": ratio,
            "unit": "ratio",
            "bound": f"<= {bound}",
            "holds": ratio <= bound,
        }
    return rows


def measure_here(threads: Sequence[int], settings: Settings) -> dict[str, dict[str, Any]]:
    """Rows measured in this process; without Beauty, none."""
    try:
        corpus = load("amazon14_beauty", settings=settings)
    except UnknownNameError:
        print("bench: amazon14_beauty is not under WHYREC_DATA; left out.", file=sys.stderr)
        return {}
    before = torch.get_num_threads()
    rows: dict[str, dict[str, Any]] = {}
    for count in threads:
        rows |= on_threads(corpus, count)
    torch.set_num_threads(before)
    return rows


def measure() -> dict[str, dict[str, Any]]:
    """Rows for `make bench`, on one thread and, where there are two cores, on two.

    In a process of its own: OpenMP reads only at its start that a thread with nothing to do shall sleep. Otherwise it
    spins, and on a shared machine the CPU time of two threads is mostly that.
    """
    patient = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-m", "bench.sasrec", *(str(n) for n in range(1, min(2, os.cpu_count() or 1) + 1))]
    told = subprocess.run(command, env=patient, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows: dict[str, dict[str, Any]] = json.loads(told)
    return rows


if __name__ == "__main__":
    print(json.dumps(measure_here([int(n) for n in sys.argv[1:]] or [1], read_settings())))
