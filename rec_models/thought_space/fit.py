"""Training a thought space: pull a behaviour towards its own rationale, push it from ten of other users (PULSE eq. 1).

    loss = -log( e^(s+ / tau) / (e^(s+ / tau) + sum over 10 negatives of e^(s- / tau)) ),   s = cos(E2(b), E1(r))

The behaviour is the anchor. Negatives are rationales of other users in the batch, never one that would be a right
answer too: same user, same target, same text. The learning rate warms up over the first tenth of the steps and falls
as a cosine. A tenth of the users is held out: each held-out behaviour is to find its own rationale among all held-out
ones (mean reciprocal rank), and the weights with the best MRR are kept, the starting weights included, so a space that
learnt nothing useful is the one it started from.

Unusual: where pairs also have a behaviour text that names the target, each pair shows it in half of the epochs (target
dropout, spec 3.b); held-out behaviours never do.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from rec_models.thought_space.space import HeadTower, ThoughtSpace
from whyrec.errors import UsageError

Ints = npt.NDArray[np.int64]
_LEAST = 12  # pairs below which nothing can be held out
_NONE = -1e9


@dataclass(frozen=True)
class Pairs:
    """Rationales with the behaviour each explains, all of the train split.

    Attributes:
        users: int64[N], whose pair it is.
        targets: int64[N], the item the rationale is a reason for.
        rationales, behaviours: texts; a behaviour text is made from the history alone.
        told: behaviour texts that also name the target, for target dropout; () for none.
    """

    users: Ints
    targets: Ints
    rationales: tuple[str, ...]
    behaviours: tuple[str, ...]
    told: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.users)

    def of(self, rows: Ints) -> Pairs:
        """Some of the pairs."""
        columns = (self.rationales, self.behaviours, self.told)
        texts = (tuple(column[int(row)] for row in rows) if column else () for column in columns)
        return Pairs(self.users[rows], self.targets[rows], *texts)

    def same(self) -> npt.NDArray[np.bool_]:
        """bool[N, N]: pairs that must not be each other's negatives: same user, target, rationale or behaviour."""
        texts = [np.unique(np.array(t), return_inverse=True)[1] for t in (self.rationales, self.behaviours)]
        columns = (self.users, self.targets, *texts)
        found = np.zeros((len(self), len(self)), dtype=bool)
        for column in columns:
            found |= column[:, None] == column[None, :]
        return found


@dataclass(frozen=True, slots=True)
class ThoughtFit:
    """How to train.

    Attributes:
        epochs: at most.
        batch: pairs in a step.
        negatives: rationales a behaviour is pushed from, drawn from its batch.
        lr: of heads and temperature. 1e-3 suits heads over frozen vectors; the spec's 1e-4 goes with a transformer.
        encoder_lr: of a transformer's own weights.
        warmup: share of the steps over which the rates rise from 0.
        weight_decay: of matrices.
        patience: epochs without a better held-out MRR before it stops.
        held_out: share of the users kept for validation.
        told: probability that a pair shows the behaviour text that names the target, where it has one.
    """

    epochs: int = 40
    batch: int = 64
    negatives: int = 10
    lr: float = 1e-3
    encoder_lr: float = 2e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    patience: int = 6
    held_out: float = 0.1
    told: float = 0.5


@dataclass(frozen=True, slots=True)
class ThoughtReport:
    """How a training went.

    Attributes:
        pairs, held_out: pairs trained on and held out.
        mrr_before, mrr: held-out MRR of the starting and of the kept weights.
        best_epoch: 0 where the start was best.
        losses, mrrs: one per epoch done.
        seconds: CPU seconds.
    """

    pairs: int
    held_out: int
    mrr_before: float
    mrr: float
    best_epoch: int
    losses: tuple[float, ...]
    mrrs: tuple[float, ...]
    seconds: float


def fit_space(space: ThoughtSpace, pairs: Pairs, how: ThoughtFit = ThoughtFit(), *, seed: int = 0) -> ThoughtReport:
    """Train a space in place; it ends with the weights of the best held-out MRR.

    Raises:
        UsageError: there are too few pairs to hold some out.
    """
    if len(pairs) < _LEAST:
        raise UsageError(
            f"A thought space is learnt from at least {_LEAST} rationales of different users, but there are "
            f"{len(pairs)}. Make more with pulse.rationale."
        )
    began = time.process_time()
    train, held = split_users(pairs.users, how.held_out, seed)
    loop = _Loop(space, pairs, how, train, held)
    before = best = loop.mrr()
    kept, best_epoch = loop.weights(), 0
    losses: list[float] = []
    mrrs: list[float] = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for epoch in range(1, how.epochs + 1):
            losses.append(loop.epoch(seed, epoch))
            mrrs.append(loop.mrr())
            if mrrs[-1] > best:
                best, best_epoch, kept = mrrs[-1], epoch, loop.weights()
            if epoch - best_epoch >= how.patience:
                break
    space.load_state_dict(kept)
    space.eval()
    seconds = time.process_time() - began
    return ThoughtReport(len(train), len(held), before, best, best_epoch, tuple(losses), tuple(mrrs), seconds)


def split_users(users: Ints, share: float, seed: int) -> tuple[Ints, Ints]:
    """(rows to train on, rows held out), by user, so that nobody is in both."""
    order = np.random.default_rng(seed).permutation(np.unique(users))
    away = order[: max(2, round(share * len(order)))]
    held = np.isin(users, away)
    return np.flatnonzero(~held), np.flatnonzero(held)


def retrieval_mrr(similarity: npt.NDArray[np.floating], same: npt.NDArray[np.bool_] | None = None) -> float:
    """Mean reciprocal rank of entry (i, i) in row i; equal scores in expected order (spec 1.5).

    Args:
        similarity: [N, N], rows are behaviours, columns rationales.
        same: [N, N], entries that are right answers too and so are no rivals.
    """
    own = np.diag(similarity)[:, None]
    rival = ~np.eye(len(similarity), dtype=bool) if same is None else ~(same | np.eye(len(similarity), dtype=bool))
    better = ((similarity > own) & rival).sum(1)
    ties = ((similarity == own) & rival).sum(1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, len(similarity) + 1))])
    return float(((harmonic[better + ties + 1] - harmonic[better]) / (ties + 1)).mean())


def info_nce(similarity_BB: Tensor, allowed_BB: Tensor, *, negatives: int, draw: torch.Generator | None) -> Tensor:
    """PULSE eq. 1 for a batch.

    Args:
        similarity_BB: cosine over tau; row i is behaviour i, column j rationale j.
        allowed_BB: which rationales may be a behaviour's negatives.
        negatives: how many are drawn, all allowed ones where there are fewer.
        draw: of the negatives; None takes all allowed.

    Returns:
        The mean over behaviours that have at least one negative, 0 where none has.
    """
    size = len(similarity_BB)
    if draw is not None and negatives < size:
        keys_BB = torch.rand(size, size, generator=draw).to(similarity_BB.device).masked_fill(~allowed_BB, -1.0)
        chosen_BN = keys_BB.topk(negatives, dim=1).indices
        taken_BB = torch.zeros_like(allowed_BB).scatter_(1, chosen_BN, True) & allowed_BB
    else:
        taken_BB = allowed_BB
    own_BB = torch.eye(size, dtype=torch.bool, device=similarity_BB.device)
    logits_BB = similarity_BB.masked_fill(~(taken_BB | own_BB), _NONE)
    losses_B = functional.cross_entropy(logits_BB, torch.arange(size, device=similarity_BB.device), reduction="none")
    has_B = taken_BB.any(1)
    return (losses_B * has_B).sum() / has_B.sum().clamp_min(1)


class _Loop:
    """A training under way: prepared texts, optimiser, schedule."""

    def __init__(self, space: ThoughtSpace, pairs: Pairs, how: ThoughtFit, train: Ints, held: Ints) -> None:
        self.space, self.how, self.train, self.held = space, how, train, held
        self.rationales = space.rationale.prepare(pairs.rationales)
        self.behaviours = space.behaviour.prepare(pairs.behaviours)
        self.told = space.behaviour.prepare(pairs.told) if pairs.told else None
        self.same = torch.from_numpy(pairs.same()) if len(pairs) <= 4096 else None
        self.pairs = pairs
        self.optimiser = _optimiser(space, how)
        steps = math.ceil(len(train) / how.batch) * how.epochs
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, _warm_cosine(steps, how.warmup))

    def epoch(self, seed: int, number: int) -> float:
        """One pass over the training pairs in an order of its own; the mean loss."""
        self.space.train()
        order = np.random.default_rng((seed, number)).permutation(self.train)
        draw = torch.Generator().manual_seed(seed * 100_003 + number)
        total, count = 0.0, 0
        for at in range(0, len(order), self.how.batch):
            rows = order[at : at + self.how.batch]
            if len(rows) < 2:
                continue
            self.optimiser.zero_grad()
            loss = self._loss(torch.from_numpy(rows), draw)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.space.parameters(), 1.0)
            self.optimiser.step()
            self.schedule.step()
            total, count = total + float(loss.detach()), count + 1
        return total / max(1, count)

    def _loss(self, rows: Tensor, draw: torch.Generator) -> Tensor:
        z_r_BP = self.space.rationale(self.rationales, rows)
        z_b_BP = self.space.behaviour(self.behaviours, rows)
        if self.told is not None:
            shown = torch.rand(len(rows), generator=draw) < self.how.told
            z_b_BP = torch.where(shown[:, None].to(z_b_BP.device), self.space.behaviour(self.told, rows), z_b_BP)
        similarity_BB = z_b_BP @ z_r_BP.T / self.space.temperature
        allowed = ~self._same(rows).to(similarity_BB.device)
        return info_nce(similarity_BB, allowed, negatives=self.how.negatives, draw=draw)

    def _same(self, rows: Tensor) -> Tensor:
        if self.same is not None:
            return self.same[rows][:, rows]
        return torch.from_numpy(self.pairs.of(rows.numpy()).same())

    def mrr(self) -> float:
        """Held-out retrieval MRR of the weights as they are."""
        self.space.eval()
        points = []
        with torch.inference_mode():
            for tower, prepared in (
                (self.space.behaviour, self.behaviours),
                (self.space.rationale, self.rationales),
            ):
                parts = [
                    tower(prepared, torch.from_numpy(self.held[at : at + 64])) for at in range(0, len(self.held), 64)
                ]
                points.append(torch.cat(parts).float().cpu().numpy())
        return retrieval_mrr(points[0] @ points[1].T, self.pairs.of(self.held).same())

    def weights(self) -> dict[str, Tensor]:
        """A copy of the weights."""
        return {name: t.detach().clone() for name, t in self.space.state_dict().items()}


def _warm_cosine(steps: int, warmup: float) -> _Schedule:
    return _Schedule(steps, max(1, round(warmup * steps)))


@dataclass(frozen=True)
class _Schedule:
    """Factor of the learning rate at a step: up to 1 over `warm` steps, then down to 0 as half a cosine."""

    steps: int
    warm: int

    def __call__(self, step: int) -> float:
        if step < self.warm:
            return (step + 1) / self.warm
        done = (step - self.warm) / max(1, self.steps - self.warm)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _optimiser(space: ThoughtSpace, how: ThoughtFit) -> torch.optim.Optimizer:
    """AdamW: encoders at their own rate; no decay on the temperature, biases and norms."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, weight in space.named_parameters():
        rate = how.encoder_lr if ".encoder." in name else how.lr
        decay = how.weight_decay if weight.dim() > 1 else 0.0
        groups.setdefault((rate, decay), []).append(weight)
    assert isinstance(space.rationale, HeadTower) == (not any(".encoder." in n for n, _ in space.named_parameters()))
    settings = [{"params": found, "lr": lr, "weight_decay": decay} for (lr, decay), found in groups.items()]
    return torch.optim.AdamW(settings, betas=(0.9, 0.999))
