"""The loop that tunes a language model: epochs of steps, held-out rows after each, the best epoch kept.

Everything random (order of rows and options, dropout, where adapters start) comes from the seed, the epoch and the
step. So a tuning that was killed goes on at its last checkpoint and ends with the very weights of an unbroken one (same
device and threads). A step's gradient is the mean over its rows however they are cut into passes; rows alike in length
are read together, and nothing is packed. Test rows are out of reach (`LeakageError`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rec_models.checkpoint import Checkpoint, Tensors, digest
from rec_models.fit import check_device
from rec_models.tuning.base import Base, Learner, open_learner
from rec_models.tuning.encoding import Encoded, Encoder, batch_of, kept_whole, micro_batches
from rec_models.tuning.judging import Judged, judge
from rec_models.tuning.objectives import objective
from rec_models.tuning.rows import Row, Rows
from rec_models.tuning.settings import TuneSettings
from whyrec.errors import LeakageError, UsageError
from whyrec.precision import Choice, casting, choose, products

GENERATION = 1  # raised when the same rows and settings come to other weights than before


@dataclass(frozen=True, slots=True)
class TuneRow:
    """One line of a tuning's log.

    Attributes:
        epoch: 0 for the base as it came.
        loss: mean over the epoch's terms; NaN at 0.
        dev: what the held-out rows say; None where there are none.
        best_epoch: so far; 0 before the first.
        seconds: of the processor, so far.
    """

    epoch: int
    loss: float
    dev: Judged | None
    best_epoch: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """Where a tuning stands. `rate` is rows a second since it began or went on, `eta_s` until the last epoch's end."""

    step: int
    steps: int
    epoch: int
    loss: float
    rate: float
    eta_s: float


@dataclass(frozen=True, slots=True)
class TuneReport:
    """How a tuning ended. `precision` is of the products, and why; `cut` counts rows that lost some history."""

    best_epoch: int
    rows: tuple[TuneRow, ...]
    seconds: float
    seed: int
    device: str
    precision: str
    cut: int


def identity_of(rows: Rows, base: Base, settings: TuneSettings, seed: int) -> str:
    """16 hex digits of everything that decides how a tuning ends."""
    options = sorted(base.template_options.items())
    return digest(GENERATION, rows.digest, base.digest, options, sorted(settings.recipe.items()), seed)


def tune(
    rows: Rows,
    base: Base,
    settings: TuneSettings,
    *,
    seed: int = 0,
    folder: Path | None = None,
    on_step: Callable[[Step | TuneRow], None] | None = None,
) -> tuple[Learner, TuneReport]:
    """The tuned model, in eval mode, and how it came about.

    Args:
        rows: to learn from and to stop by.
        base: what is tuned.
        settings: how.
        seed: of everything random.
        folder: checkpoints go here, and an interrupted tuning goes on from here.
        on_step: told of each step and, after its checkpoint is on disk, of each epoch.

    Raises:
        LeakageError: rows of a test split, from which nothing may be learnt.
        UsageError: a row does not fit or is not for the objective, the folder holds another tuning, no such device.
    """
    if rows.made.get("split") == "test":
        raise LeakageError(
            "A tuning was given rows of the test split. Make them of the validation split (split=valid)."
        )
    check_device(settings.device)
    aim = objective(settings.objective)
    aim.check((*rows.train, *rows.dev))
    checkpoint = None if folder is None else Checkpoint(folder, identity_of(rows, base, settings, seed))
    state = checkpoint.state() if checkpoint else None
    precision = Choice(**state["precision"]) if state else choose(settings.precision, settings.device)
    learner = open_learner(base, settings, kind=precision.kind, seed=seed, quiet=True)
    loop = Loop(learner, rows, settings, seed=seed, precision=precision)
    if checkpoint is not None and state is not None:
        loop.restore(checkpoint, state)
    forked = [torch.device(settings.device)] if settings.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=forked), products(precision.kind):
        loop.run(checkpoint, on_step)
    return learner, loop.finish()


class Loop:
    """A tuning under way."""

    def __init__(self, learner: Learner, rows: Rows, settings: TuneSettings, *, seed: int, precision: Choice) -> None:
        self.learner, self.settings, self.seed, self.precision = learner, settings, seed, precision
        self.objective, self.rows = objective(settings.objective), rows
        longest = min(settings.longest, learner.context)
        self.encoder = Encoder(learner.rendering, learner.end, longest, self.objective.ended)
        self.dev = [self._encoded(row) for row in rows.dev]
        first = [self._encoded(row) for row in rows.train]
        self.still = None if settings.reshuffle and any(row.lettered for row in rows.train) else first
        before = {row.key: row.events for row in rows.train}
        self.cut = sum(found.events < before[found.key] for found in first)
        self.per_epoch = math.ceil(len(first) / settings.rows_per_step)
        self.steps = self.per_epoch * settings.epochs
        self.weights = learner.weights
        self.optimiser = torch.optim.AdamW(
            self.weights.values(), lr=settings.lr, betas=(0.9, 0.98), weight_decay=settings.weight_decay, fused=True
        )
        self.log: list[TuneRow] = []
        self.step, self.total, self.terms, self.seconds = 0, 0.0, 0, 0.0
        self.best_epoch, self.best_value = 0, math.inf
        self.best: Tensors = {}

    @property
    def done(self) -> bool:
        """Out of epochs, or out of patience."""
        epochs = len(self.log) - 1
        stale = self.settings.patience and self.dev and epochs - self.best_epoch >= self.settings.patience
        return epochs >= self.settings.epochs or (epochs > 0 and bool(stale))

    def run(self, checkpoint: Checkpoint | None, tell: Callable[[Step | TuneRow], None] | None) -> None:
        """All that is left to do."""
        began, before, done = time.monotonic(), time.process_time() - self.seconds, 0
        if not self.log:
            self.log.append(TuneRow(0, math.nan, self._judged(), 0, time.process_time() - before))
            if tell:
                tell(self.log[0])
        while not self.done:
            epoch = len(self.log)
            steps = list(self.epoch(epoch))
            for rows in steps[self.step - (epoch - 1) * self.per_epoch :]:
                loss = self.take(rows)
                done += len(rows)
                self.seconds = time.process_time() - before
                if tell:
                    left = (self.steps - self.step) * self.settings.rows_per_step
                    rate = done / max(time.monotonic() - began, 1e-9)
                    tell(Step(self.step, self.steps, epoch, loss, rate, left / rate))
                every = self.settings.checkpoint_steps
                if checkpoint and every and self.step % every == 0 and self.step < epoch * self.per_epoch:
                    self.save(checkpoint, better=False)
            better = self._close(epoch, before)
            if checkpoint:
                self.save(checkpoint, better=better)
            if tell:
                tell(self.log[-1])

    def epoch(self, number: int) -> Iterator[list[Encoded]]:
        """The rows of each step: another order of rows, and of options, every epoch."""
        rng = np.random.default_rng([self.seed, number])
        if self.still is not None:
            found = self.still
        else:
            found = [self._encoded(self._reordered(row, rng)) for row in self.rows.train]
        order = rng.permutation(len(found))
        for start in range(0, len(found), self.settings.rows_per_step):
            yield [found[i] for i in order[start : start + self.settings.rows_per_step]]

    def _reordered(self, row: Row, rng: np.random.Generator) -> Row:
        return row.reordered(rng.permutation(len(row.labels)).tolist()) if row.lettered else row

    def _encoded(self, row: Row) -> Encoded:
        found = self.encoder.row(row)
        if found.events < row.events:
            assert kept_whole(row, row.latest(found.events)), row.key
        return found

    def take(self, rows: list[Encoded]) -> float:
        """One step; its mean loss."""
        device, settings = self.settings.device, self.settings
        self.learner.model.train()
        self.step += 1
        torch.manual_seed(int(digest(self.seed, self.step), 16) % (1 << 63))
        for group in self.optimiser.param_groups:
            group["lr"] = settings.lr * rate(self.step, self.steps, settings)
        terms, total = sum(self.objective.weight(row) for row in rows), 0.0
        self.optimiser.zero_grad()
        for some in micro_batches(rows, settings.tokens_at_once):
            batch = batch_of(some, self.learner.pad, device)
            with casting(self.precision.kind, device):
                logits_BKV = self.learner.logits(batch)
            loss = self.objective.loss(logits_BKV, batch)
            (loss / terms).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if settings.clip:
            nn.utils.clip_grad_norm_(self.weights.values(), settings.clip)
        self.optimiser.step()
        self.total, self.terms = self.total + total, self.terms + terms
        return total / terms

    def _judged(self) -> Judged | None:
        if not self.dev:
            return None
        how = {"tokens": self.settings.tokens_at_once, "kind": self.precision.kind, "device": self.settings.device}
        return judge(self.learner, self.dev, self.objective, **how)[0]  # type: ignore[arg-type]

    def _close(self, epoch: int, before: float) -> bool:
        """End an epoch; whether it is the best so far, which without held-out rows every one is."""
        dev = self._judged()
        value = -float(epoch) if dev is None else self._value(dev)
        better = value < self.best_value or not self.best
        if better:
            self.best_epoch, self.best_value = epoch, value
            self.best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.seconds = time.process_time() - before
        self.log.append(TuneRow(epoch, self.total / self.terms, dev, self.best_epoch, self.seconds))
        self.total, self.terms = 0.0, 0
        return better

    def _value(self, dev: Judged) -> float:
        """What is to be small."""
        wanted = self.settings.stop_on
        return -getattr(dev, wanted) if wanted != "loss" and self.objective.chooses else dev.loss

    def save(self, checkpoint: Checkpoint, *, better: bool) -> None:
        """Write where it stands."""
        last: Tensors = {f"weight.{name}": weight for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            last |= {f"adam.{key}.{name}": value for key, value in self.optimiser.state[weight].items()}
        log = [asdict(row) for row in self.log]
        values = {"step": self.step, "total": self.total, "terms": self.terms, "seconds": self.seconds, "log": log}
        values |= {"precision": asdict(self.precision), "best": [self.best_epoch, self.best_value]}
        best = self.best if better else None
        if best is None and not self.best_epoch:
            best = {"none": torch.zeros(1)}  # a checkpoint names a best, and there is none yet
        checkpoint.save(self.step, values, last=last, best=best)

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        """Go back to where the folder's tuning stood."""
        self.log = [TuneRow(**{**row, "dev": row["dev"] and Judged(**row["dev"])}) for row in state["log"]]
        self.step, self.total, self.terms = state["step"], state["total"], state["terms"]
        self.seconds = state["seconds"]
        self.best_epoch, self.best_value = int(state["best"][0]), float(state["best"][1])
        if self.best_epoch:
            self.best = checkpoint.best()
        tensors, device = checkpoint.last(), self.settings.device
        self._load({name: tensors[f"weight.{name}"] for name in self.weights})
        for name, weight in self.weights.items():
            keys = [key for key in tensors if key.startswith("adam.") and key.split(".", 2)[2] == name]
            self.optimiser.state[weight] = {key.split(".", 2)[1]: tensors[key].to(device) for key in keys}

    def _load(self, values: Tensors) -> None:
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(values[name])

    def finish(self) -> TuneReport:
        """The best weights into the model."""
        assert self.best
        self._load(self.best)
        self.learner.model.eval()
        where = (self.seed, self.settings.device, str(self.precision))
        return TuneReport(self.best_epoch, tuple(self.log), self.seconds, *where, self.cut)


def rate(step: int, steps: int, settings: TuneSettings) -> float:
    """Share of the learning rate at a step, from 1: warm-up, then down to nothing, or level."""
    warm = max(1, round(settings.warmup * steps)) if settings.warmup else 0
    if step <= warm:
        return step / warm
    if settings.schedule == "constant":
        return 1.0
    left = (steps - step + 1) / (steps - warm + 1)
    return left if settings.schedule == "linear" else 0.5 - 0.5 * math.cos(math.pi * left)


def check_rows(rows: Rows) -> None:
    """Keys are what rows are told apart by.

    Raises:
        UsageError: two rows have one.
    """
    keys = [row.key for row in (*rows.train, *rows.dev)]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UsageError(f"Two rows are called {twice}: give every row a key of its own.")
