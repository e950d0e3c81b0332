"""The one training loop: epochs of batches, validation by full ranking, stop when it no longer improves.

Everything random in an epoch comes from (seed, epoch): the order of rows, the negatives, dropout. So a checkpoint needs
no random state, a killed fit ends with the very weights of an unbroken one (same device and threads), and nothing here
touches the caller's random numbers. The test split is out of reach: a fit takes a corpus or its validation view.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rec_models.base import SequenceModel
from rec_models.checkpoint import Checkpoint, Tensors, digest
from rec_models.rank import places
from rec_models.sequential.batches import Batcher
from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError, UsageError
from whyrec.precision import Choice, Precision, casting, choose, products


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How to train.

    Attributes:
        epochs: at most.
        patience: stop after this many validations without a better NDCG@10.
        evaluate_every: epochs between validations.
        users_per_step: rows of average length in a batch.
        lr, beta_2, weight_decay: of AdamW (decay on matrices of layers only: not on tables, biases, norms).
        warmup: steps over which the learning rate rises from 0.
        clip: largest norm of a step's gradient; 0 for no limit.
        average: decay of an exponential moving average of the weights, which is what is validated and kept; 0 for none.
        mask_seen: whether validation leaves out what was seen.
        device: "cpu", "cuda", "cuda:1".
        precision: of products (weights stay float32): what is fastest on this device, or one by name. A fit that is
            resumed keeps the precision it began in.
    """

    epochs: int = 200
    patience: int = 10
    evaluate_every: int = 1
    users_per_step: int = 128
    lr: float = 1e-3
    beta_2: float = 0.98
    weight_decay: float = 0.0
    warmup: int = 0
    clip: float = 0.0
    average: float = 0.0
    mask_seen: bool = True
    device: str = "cpu"
    precision: Precision = "auto"

    @property
    def recipe(self) -> dict[str, Any]:
        """What a fit is identified by: all but where and how fast it computes.

        Rows of tables kept since before precision was chosen by measurement call themselves bf16; they stay valid.
        """
        found = asdict(self)
        del found["device"], found["precision"]
        return {**found, "bf16": True}


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One line of a fit's log. Validation is None in epochs without one; `seconds` is CPU time so far."""

    epoch: int
    loss: float
    valid_ndcg: float | None
    valid_recall: float | None
    best_epoch: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FitReport:
    """How a fit ended. Validation numbers are @10 at the best epoch; `seconds` is CPU time, resumed parts included;
    `precision` is the one products were computed in, and why.
    """

    epochs: int
    best_epoch: int
    valid_ndcg: float
    valid_recall: float
    seconds: float
    seed: int
    device: str
    precision: str
    rows: tuple[EpochRow, ...]


def fit(
    model: SequenceModel,
    corpus: Corpus | SplitView,
    *,
    settings: FitSettings = FitSettings(),
    seed: int = 0,
    folder: Path | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> FitReport:
    """Train a `SequenceModel` in place; it ends with the weights of the best validation.

    Args:
        model: SASRec, BERT4Rec, … with its starting weights.
        corpus: the data, or its validation view.
        settings: how.
        seed: of order, negatives and dropout. (Starting weights have the seed given to the model.)
        folder: checkpoints go here, and an interrupted fit goes on from here.
        on_epoch: called with each epoch's row, after its checkpoint is on disk.

    Raises:
        LeakageError: a test view, from which nothing may be learnt.
        UsageError: the folder holds another fit, the device is absent, or there is nothing to train on.
    """
    view = SplitView(corpus, "valid") if isinstance(corpus, Corpus) else corpus
    if view.split == "test":
        raise LeakageError("A fit was given a test view. Give it the corpus, or SplitView(corpus, 'valid').")
    check_device(settings.device)
    loop = Loop(model, view, settings, seed)
    checkpoint = None if folder is None else Checkpoint(folder, loop.identity)
    loop.restore(checkpoint)
    forked = [torch.device(settings.device)] if settings.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=forked), products(loop.precision.kind):
        while not loop.done:
            best = loop.epoch()
            if checkpoint is not None:
                checkpoint.save(len(loop.rows), loop.values(), last=loop.tensors(), best=best)
            if on_epoch is not None:
                on_epoch(loop.rows[-1])
    return loop.finish()


def check_device(device: str) -> None:
    """Whether torch can compute on "cpu", "cuda", "cuda:1", … here.

    Raises:
        UsageError: it cannot.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(
            f"The device {device!r} is not here. Use cpu; for cuda, install torch with CUDA on a machine with a GPU."
        ) from None


class Loop:
    """A fit under way: weights, optimiser, log."""

    def __init__(self, model: SequenceModel, view: SplitView, settings: FitSettings, seed: int) -> None:
        assert isinstance(model, nn.Module)
        self.model, self.module, self.view, self.settings, self.seed = model, model, view, settings, seed
        self.batcher = Batcher(
            view, row_length=model.row_length, users_per_step=settings.users_per_step, negatives=model.negatives
        )
        if not len(self.batcher.rows.users):
            raise UsageError(f"{view.corpus.name} has no user with two training events, so nothing can be learnt.")
        start = [t for pair in self.module.named_parameters() for t in pair]
        how = replace(settings, device="")
        self.identity = digest(
            type(model).__name__, getattr(model, "settings", None), *start, *view.sequences(), view.targets, how, seed
        )
        self.precision = choose(settings.precision, settings.device)
        self.module.to(settings.device)
        self.weights: dict[str, nn.Parameter] = dict(self.module.named_parameters())
        self.optimiser = _optimiser(self.weights, settings)
        self.average = {n: w.detach().clone() for n, w in self.weights.items()} if settings.average else None
        self.rows: list[EpochRow] = []
        self.steps, self.best_epoch, self.best_ndcg, self.best_recall, self.seconds = 0, 0, -1.0, 0.0, 0.0
        self.best: Tensors = {}

    @property
    def done(self) -> bool:
        """Out of epochs, or out of patience."""
        stale = len(self.rows) - self.best_epoch >= self.settings.patience * self.settings.evaluate_every
        return len(self.rows) >= self.settings.epochs or (bool(self.rows) and stale)

    def epoch(self) -> Tensors | None:
        """Train and perhaps validate once; the kept weights if they are a new best."""
        began = time.process_time()
        loss = self.train()
        number = len(self.rows) + 1
        ndcg: float | None = None
        recall: float | None = None
        better = False
        if number % self.settings.evaluate_every == 0 or number == self.settings.epochs:
            kept = {n: w.detach().clone() for n, w in (self.average or self.weights).items()}
            ndcg, recall = self._validate(kept)
            better = ndcg > self.best_ndcg
            if better:
                self.best, self.best_epoch, self.best_ndcg, self.best_recall = kept, number, ndcg, recall
        self.seconds += time.process_time() - began
        self.rows.append(EpochRow(number, loss, ndcg, recall, self.best_epoch, self.seconds))
        return self.best if better else None

    def train(self) -> float:
        """One epoch of steps; the mean loss."""
        self.module.train()
        number = len(self.rows) + 1
        device = self.settings.device
        torch.manual_seed(int(digest(self.seed, number), 16) % (1 << 63))
        total, count = torch.zeros((), device=device), 0
        for batch in self.batcher.epoch(self.seed, number):
            self.steps += 1
            self._warm()
            self.optimiser.zero_grad()
            with casting(self.precision.kind, device):
                loss = self.model.loss(batch.to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            if self.settings.clip:
                nn.utils.clip_grad_norm_(self.weights.values(), self.settings.clip)
            self.optimiser.step()
            if self.average is not None:
                for name, mean in self.average.items():
                    mean.lerp_(self.weights[name].detach(), 1 - self._decay())
            total += loss.detach()
            count += 1
        return float(total) / count

    def _decay(self) -> float:
        """The average's decay, smaller in the first steps, so that it soon forgets the starting weights."""
        return min(self.settings.average, (1 + self.steps) / (10 + self.steps))

    def _warm(self) -> None:
        if self.steps <= self.settings.warmup:
            for group in self.optimiser.param_groups:
                group["lr"] = self.settings.lr * self.steps / self.settings.warmup

    def _validate(self, kept: Tensors) -> tuple[float, float]:
        """(NDCG@10, Recall@10) of the kept weights on the validation split."""
        now = {n: w.detach().clone() for n, w in self.weights.items()} if self.average is not None else None
        self._load(kept)
        found = places(self.model, self.view, mask_seen=self.settings.mask_seen).expected(10)
        if now is not None:
            self._load(now)
        return found

    def _load(self, values: Tensors) -> None:
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(values[name])

    def values(self) -> dict[str, Any]:
        """What a checkpoint's json keeps."""
        precision = asdict(self.precision)
        return {
            "steps": self.steps,
            "recall": self.best_recall,
            "precision": precision,
            "rows": [asdict(r) for r in self.rows],
        }

    def tensors(self) -> Tensors:
        """What a checkpoint's tensors keep: weights, their average, Adam's two moments and step."""
        found: Tensors = {f"weight.{n}": w for n, w in self.weights.items()}
        found |= {f"average.{n}": w for n, w in (self.average or {}).items()}
        for name, weight in self.weights.items():
            found |= {f"adam.{key}.{name}": value for key, value in self.optimiser.state[weight].items()}
        return found

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Go back to where the folder's fit stood, if it holds one."""
        state = checkpoint.state() if checkpoint else None
        if checkpoint is None or state is None:
            return
        self.rows = [EpochRow(**row) for row in state["rows"]]
        self.precision = Choice(**state["precision"])
        self.steps, self.best_recall, self.seconds = state["steps"], state["recall"], self.rows[-1].seconds
        self.best_epoch = self.rows[-1].best_epoch
        self.best_ndcg = (self.rows[self.best_epoch - 1].valid_ndcg or 0.0) if self.best_epoch else -1.0
        self.best = checkpoint.best() if self.best_epoch else {}
        tensors = checkpoint.last()
        self._load({n: tensors[f"weight.{n}"] for n in self.weights})
        if self.average is not None:
            self.average = {n: tensors[f"average.{n}"].to(self.settings.device) for n in self.weights}
        for name, weight in self.weights.items():
            prefix, device = "adam.", self.settings.device
            keys = [k for k in tensors if k.startswith(prefix) and k.split(".", 2)[2] == name]
            self.optimiser.state[weight] = {k.split(".", 2)[1]: tensors[k].to(device) for k in keys}

    def finish(self) -> FitReport:
        """The best weights into the model."""
        if self.best:
            self._load(self.best)
        self.module.eval()
        s = self
        where = (s.settings.device, str(s.precision))
        return FitReport(
            len(s.rows), s.best_epoch, s.best_ndcg, s.best_recall, s.seconds, s.seed, *where, tuple(s.rows)
        )


def _optimiser(weights: dict[str, nn.Parameter], settings: FitSettings) -> torch.optim.Optimizer:
    """AdamW; weight decay reaches the matrices inside blocks only (spec 12)."""
    decayed = [w for n, w in weights.items() if w.dim() > 1 and n.startswith("blocks.")]
    others = [w for n, w in weights.items() if not (w.dim() > 1 and n.startswith("blocks."))]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, settings.beta_2), fused=True)
