"""SASRec on Beauty against what the arithmetic alone would cost: steps of training, and a full ranking.

What is measured is the preset that tables run: its network, its batches, the precision it chooses here. A floor is the
products at the model's own shapes, each at the best rate of any precision on this processor (bench/floors.py), plus the
exponentials of the softmax; for the ranking, whose places are counted exactly, the best rate of float32. Floor and work
are measured in turns and the median ratio is reported.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from bench.floors import cpu, processor, seconds_per_exponential, seconds_per_flop
from rec_models import presets
from rec_models.base import Batch
from rec_models.fit import Loop
from rec_models.rank import SLICE, places
from rec_models.sequential.batches import history_rows
from rec_models.sequential.sasrec import SASRec, SASRecSettings
from rec_models.sequential.softmax import CHUNK
from whyrec.data import load
from whyrec.data.corpus import Corpus, IntArray
from whyrec.data.split import SplitView
from whyrec.errors import UnknownNameError
from whyrec.precision import Precision
from whyrec.settings import Settings, read_settings

REPEATS, BATCHES, FEW = 5, 24, 3
NETWORK = presets.SASREC
EPOCH_BOUND, RANKING_BOUND, CHOICE_BOUND = 1.8, 2.2, 1.2
_PLACES = 1024  # about as many as a batch of the blocks' products holds

Row = dict[str, Any]


class Steps:
    """The first steps of an epoch, the same each time.

    Args:
        corpus: what is trained on.
        precision: of products.
        count: how many steps.
    """

    def __init__(self, corpus: Corpus, precision: Precision, count: int) -> None:
        network, how = presets.settings("SASRec", corpus)
        assert isinstance(network, SASRecSettings)
        self.model = SASRec(corpus.n_items, network, seed=1)
        self.loop = Loop(self.model, SplitView(corpus, "valid"), replace(how, precision=precision), 1)
        self.batches = list(itertools.islice(self.loop.batcher.epoch(1, 1), count))
        self.lengths: IntArray = torch.cat([batch.lengths_B for batch in self.batches]).numpy() - 1
        self.loop.batcher.epoch = self._same  # type: ignore[method-assign]

    def _same(self, seed: int, epoch: int) -> Iterator[Batch]:
        yield from self.batches

    def run(self) -> None:
        """Take the steps."""
        self.loop.train()


def forward_flops(lengths: IntArray, network: SASRecSettings = NETWORK) -> float:
    """Multiplications and additions of the blocks over real places only; place t attends to t places."""
    d = network.width
    per_place = 2 * d * 3 * d + 2 * d * d + 2 * 2 * d * network.inner * d
    attended = (lengths * (lengths + 1) / 2).sum()
    return float(network.blocks * (lengths.sum() * per_place + 2 * 2 * d * attended))


def training_floor(lengths: IntArray, n_items: int, threads: int) -> float:
    """CPU seconds that steps over rows of these lengths cannot do without."""
    d, places_ = NETWORK.width, float(lengths.sum())
    blocks = 3 * forward_flops(lengths) * seconds_per_flop(_PLACES, d, 3 * d, threads=threads)
    shapes = ((CHUNK, d, n_items), (CHUNK, n_items, d), (n_items, CHUNK, d))
    logits = sum(2 * places_ * d * n_items * seconds_per_flop(*shape, threads=threads) for shape in shapes)
    return blocks + logits + places_ * n_items * seconds_per_exponential(CHUNK, n_items, threads=threads)


def ranking_floor(view: SplitView, threads: int) -> float:
    """CPU seconds that ranking every user cannot do without."""
    d, n_items = NETWORK.width, view.corpus.n_items
    lengths = history_rows(view, NETWORK.max_length).lengths
    blocks = forward_flops(lengths) * seconds_per_flop(_PLACES, d, 3 * d, threads=threads, exact=True)
    return blocks + 2 * len(lengths) * d * n_items * seconds_per_flop(SLICE, d, n_items, threads=threads, exact=True)


def on_threads(corpus: Corpus, threads: int) -> dict[str, Row]:
    """Rows for this many threads."""
    torch.set_num_threads(threads)
    seconds_per_flop.cache_clear()
    seconds_per_exponential.cache_clear()
    steps, test = Steps(corpus, "auto", BATCHES), SplitView(corpus, "test")
    steps.run(), places(steps.model, test)
    trained, ranked = [], []
    for _ in range(REPEATS):
        trained.append((training_floor(steps.lengths, corpus.n_items, threads), cpu(steps.run)))
        ranked.append((ranking_floor(test, threads), cpu(lambda: places(steps.model, test))))
        seconds_per_flop.cache_clear()
        seconds_per_exponential.cache_clear()
    named = f"({threads} thread{'s' * (threads > 1)})"
    whole = float((steps.loop.batcher.rows.lengths - 1).sum() / steps.lengths.sum())
    rows: dict[str, Row] = {
        f"processor {named}": {"value": float(threads), "unit": processor(), "bound": "", "holds": None}
    }
    measured = (("epoch", trained, EPOCH_BOUND, whole), ("full ranking", ranked, RANKING_BOUND, 1.0))
    for what, found, bound, times in measured:
        spent = statistics.median(spent for _, spent in found) * times
        rows[f"sasrec {what} {named}"] = {"value": spent, "unit": "CPU s", "bound": "", "holds": None}
        ratio = statistics.median(spent / floor for floor, spent in found)
        rows[f"sasrec {what} over its floor {named}"] = _bounded(ratio, bound)
    return rows | _choice(corpus, named)


def _choice(corpus: Corpus, named: str) -> dict[str, Row]:
    """Whether the precision that is chosen here is the faster one, by steps of training in either."""
    chosen = Steps(corpus, "auto", FEW)
    chosen.run()
    seconds = {kind: cpu(Steps(corpus, kind, FEW).run) for kind in ("float32", "bfloat16")}
    kind = chosen.loop.precision.kind
    fastest = min(seconds.values())
    row = _bounded(statistics.median(cpu(chosen.run) for _ in range(REPEATS)) / fastest, CHOICE_BOUND)
    told = ", ".join(f"{name} {spent / fastest:.3g}" for name, spent in seconds.items())
    return {f"sasrec in {kind} over the faster precision {named}": {**row, "unit": f"ratio ({told})"}}


def _bounded(ratio: float, bound: float) -> Row:
    return {"value": ratio, "unit": "ratio", "bound": f"<= {bound}", "holds": ratio <= bound}


def measure_here(threads: Sequence[int], settings: Settings) -> dict[str, Row]:
    """Rows measured in this process; without Beauty, none."""
    try:
        corpus = load("amazon14_beauty", settings=settings)
    except UnknownNameError:
        print("bench: amazon14_beauty is not under WHYREC_DATA; left out.", file=sys.stderr)
        return {}
    before = torch.get_num_threads()
    rows: dict[str, Row] = {}
    for count in threads:
        rows |= on_threads(corpus, count)
    torch.set_num_threads(before)
    return rows


def measure() -> dict[str, Row]:
    """Rows for `make bench`, on one thread and, where there are two cores, on two.

    In a process of its own: OpenMP reads only at its start that a thread with nothing to do shall sleep. Otherwise it
    spins, and on a shared machine the CPU time of two threads is mostly that.
    """
    patient = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-m", "bench.sasrec", *(str(n) for n in range(1, min(2, os.cpu_count() or 1) + 1))]
    told = subprocess.run(command, env=patient, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows: dict[str, Row] = json.loads(told)
    return rows


if __name__ == "__main__":
    print(json.dumps(measure_here([int(n) for n in sys.argv[1:]] or [1], read_settings())))
