"""A made-up experiment over a made-up corpus: cells whose quality is known, nothing trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evals.artefacts import Asked, Need, Source, Texts
from evals.evaluate import Place
from evals.experiment import Cell, Claim, Context, Experiment, Range, Told
from whyrec.data.corpus import Corpus
from whyrec.records import Failure, Ranking
from whyrec.runs import Result

USERS, ITEMS = 400, 120


def small_corpus(name: str = "made-up", *, users: int = USERS, items: int = ITEMS, events: int = 6) -> Corpus:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.permutation(items)[:events] + 1 for _ in range(users)]).astype(np.int32)
    names = [f"thing number {i}" for i in range(1, items + 1)]
    catalogue = pl.DataFrame(
        {
            "id": [f"i{i}" for i in range(1, items + 1)],
            "title": names,
            "description": [""] * items,
            "brand": ["acme" if i % 2 else "" for i in range(items)],
            "categories": [["toys", "games"] if i % 3 else [] for i in range(items)],
        },
        schema_overrides={"categories": pl.List(pl.String)},
    )
    offsets = np.arange(users + 1, dtype=np.int64) * events
    return Corpus(name, offsets, rows, pl.Series("user", [f"u{u}" for u in range(users)]), catalogue)


@dataclass
class FakeArtefacts:
    """Texts made up on the spot; `version` changes them, `calls` counts what was asked for."""

    version: str = "1"
    calls: list[str] = field(default_factory=list)

    def texts(self, source: Source) -> Texts:
        self.calls.append(str(source))
        return Texts((f"{source} v{self.version}",), note={"failed": 0})

    def results(self, asked: Asked) -> tuple[Result, ...]:
        self.calls.append(str(asked))
        return (Result(key="test/u0", user="u0", split="test", status="done", payload={"version": self.version}),)

    def digest(self, need: Need) -> str:
        return str(self.results(need)) if isinstance(need, Asked) else self.texts(need).digest

    def note(self, need: Need) -> Mapping[str, Any]:
        return {"examples": 1} if isinstance(need, Asked) else self.texts(need).note


@dataclass
class Bench:
    """An experiment with its context, its place and a count of how often each cell really ran."""

    experiment: Experiment
    context: Context
    place: Place
    ran: list[tuple[str, int]]
    artefacts: FakeArtefacts


def told(quality: float, *, seed: int, failed: int = 0, jitter: float = 0.004) -> Told:
    """Rankings where a share `quality` of the users finds the target among the ten best, the same users first."""
    rng = np.random.default_rng([seed, int(quality * 1e6)])
    luck = np.random.default_rng(7).permutation(USERS) / USERS
    hit = luck < quality + rng.normal(0, jitter)
    better = np.where(hit, np.arange(USERS) % 10, 50)
    rows = [Ranking(u, int(b), 0, ITEMS - 5) for u, b in enumerate(better)]
    bad = [Failure(u, "no answer") for u in range(failed)]
    return Told([*bad, *rows[failed:]], rows, {"epochs": 3})


def made(name: str, quality: float, ran: list[tuple[str, int]], **options: object) -> Cell:
    def function(context: Context, seed: int) -> Told:
        assert context.folder.is_dir()
        ran.append((name, seed))
        return told(quality, seed=seed, failed=int(str(options.get("failed", 0))))

    keep = {k: v for k, v in options.items() if k != "failed"}
    return Cell(name, function, axes={"kind": name}, settings={"quality": quality}, **keep)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    def build(*, strong: float = 0.3, version: str = "1", users: int = USERS) -> Bench:
        ran: list[tuple[str, int]] = []
        cells = (
            made("popularity", 0.05, ran, anchor=True, seeded=False),
            made("plain", 0.10, ran),
            made("strong", strong, ran, base="plain", published={"Food": {"recall@10": 0.0281, "ndcg@10": 0.015}}),
            made("same", 0.101, ran, base="plain", failed=3),
            made("written", 0.12, ran, base="plain", needs=(Source("description", "echo"),)),
        )
        experiment = Experiment(
            name="made.up",
            title="A made-up table",
            protocol="full ranking, nothing masked",
            cells=cells,
            metrics=("recall@10", "ndcg@10"),
            claims=(
                Claim("strong wins", "strong", "plain"),
                Claim("plain wins", "plain", "strong"),
                Claim("a hair helps", "same", "plain"),
                Claim("anything beats popularity", "plain", "popularity"),
            ),
            says={
                "strong wins": "it should",
                "plain wins": "it should not",
                "a hair helps": "who knows",
                "anything beats popularity": "a low bar",
            },
            columns={"Food": "Food of a paper, ranked otherwise"},
            ranges=(Range("strong", "recall@10", 0.2, 0.4, "made up"),),
        )
        mine = FakeArtefacts(version)
        context = Context(small_corpus(users=users), mine, tmp_path, say=lambda _line: None)
        return Bench(experiment, context, Place(tmp_path / "home", tmp_path / "docs"), ran, mine)

    return build
