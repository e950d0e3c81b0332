"""A table as data: what its JSON file holds and how it is read, added to and written.

Whoever computes a table owns it: it lies in a folder of its own under `$WHYREC_HOME/results`, beside its page and its
figures (`own_folder`). The project's own tables are docs/results/<table>.json, which only `--results docs/results`
writes.

Everything a page shows is in the file, so tables render without training anything and without the per-user outcomes.
Rows are cells, a row has one run per seed, and everything derived (intervals over users, differences, verdicts) names
the digests of the runs it was computed from: when a run is replaced, what was derived from the old one is dropped
rather than shown beside the new one. Several processes may fill one table: each addition re-reads the file under a
lock.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal, TypeVar

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.inputs.grounds import holds
from evals.inputs.outcomes import atomic_write
from evals.summary import Paired, Summary
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions
from whyrec.errors import UsageError

T = TypeVar("T", bound=BaseModel)
Kind = Literal["supported", "not supported", "contradicted", "uninformative", "no result", "no verdict"]
RESULTS = "results"  # the folder of a home that holds them
EVIDENCE, PLUMBING = "evidence", "plumbing"  # folders of the project's results that have pages of their own kind
_LONGEST = 120  # characters of a file's name before its ending


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CellRun(_Record):
    """One cell trained with one seed.

    Attributes:
        digest: identity; equal digests are not trained again.
        recipe: the identity without the seed; a row holds runs of one recipe.
        seed: of training.
        test: metric -> summary over the TEST users.
        valid: metric -> mean over the VALIDATION users. Never a result: for choosing settings.
        n: scored test examples.
        unscored: test examples without an outcome.
        chance: metric -> what a scorer that cannot tell the same candidates apart gets.
        revision: git revision of the code.
        device: what it ran on.
        wall_seconds: clock time of the whole cell.
        cpu_seconds: processor time of the whole cell.
        about: the cell's own note (epochs, best epoch, users without a preference, ...).
        measures: what the cell told of a set of test users, by name.
        doubts: why its outcomes can say nothing of the method (`evals.statistics.informative`); () where they can.
    """

    digest: str
    recipe: str
    seed: int
    test: dict[str, Summary]
    valid: dict[str, float]
    n: int
    unscored: int
    chance: dict[str, float]
    revision: str
    device: str
    wall_seconds: float
    cpu_seconds: float
    about: dict[str, Any] = Field(default_factory=dict)
    measures: dict[str, Summary] = Field(default_factory=dict)
    doubts: tuple[str, ...] = ()


class Difference(_Record):
    """One metric of one cell minus that of another, paired.

    Attributes:
        better: cell claimed to be better.
        worse: cell claimed to be worse.
        metric: the metric.
        users: paired test over users; each user's value is the mean over the common seeds.
        seeds: the mean difference of every common seed, in the order of the seeds.
        sign_p: exact two-sided sign test over the seeds.
        digests: the runs it was computed from.
    """

    better: str
    worse: str
    metric: str
    users: Paired
    seeds: tuple[float, ...]
    sign_p: float
    digests: tuple[str, ...]


class Row(_Record):
    """One cell.

    Attributes:
        name: unique in the table.
        axes: what the cell varies, for the reader ({"user": "Preference", ...}).
        settings: everything else that can change its outcomes.
        base: the cell its delta is against, "" for none.
        anchor: a reference row (chance, popularity, item-CF), not a method.
        published: column -> our metric name -> printed value.
        runs: one per seed, by seed.
        users: metric -> summary over users of each user's mean over the seeds.
        seeds: metric -> t-interval over the seeds, where there are several.
        delta: metric -> difference against `base`.
        quick: see `Cell`.
        models: language models that had a part in it; of older files, those of the axis "llm".
        seeded: see `Cell`; None in older files.
    """

    name: str
    axes: dict[str, str]
    settings: dict[str, Any]
    base: str = ""
    anchor: bool = False
    published: dict[str, dict[str, float]] = Field(default_factory=dict)
    runs: tuple[CellRun, ...] = ()
    users: dict[str, Summary] = Field(default_factory=dict)
    seeds: dict[str, Summary] = Field(default_factory=dict)
    delta: dict[str, Difference] = Field(default_factory=dict)
    quick: str = ""
    models: tuple[str, ...] = ()
    seeded: bool | None = None

    @property
    def asked(self) -> tuple[str, ...]:
        """Language models that had a part in it."""
        return self.models or tuple(self.axes.get("llm", "").split())

    @property
    def trained(self) -> bool:
        """Whether a seed had a part in it; in older files, rows without one run with seed 0."""
        return any(run.seed for run in self.runs) if self.seeded is None else self.seeded

    @property
    def digests(self) -> frozenset[str]:
        """Identities of the runs."""
        return frozenset(run.digest for run in self.runs)

    def run_of(self, seed: int) -> CellRun | None:
        """The run with this seed, if there is one."""
        return next((run for run in self.runs if run.seed == seed), None)


class Verdict(_Record):
    """What the data says of one pair of cells of one claim.

    Attributes:
        claim: the claim's name.
        difference: better minus worse.
        p: the permutation p-value adjusted for the number of pairs tested of the claim (Holm).
        verdict: "supported", "contradicted", "not supported", "uninformative", "no result" (of a quick look) or "no
            verdict" (one seed, a double in a model's place, data that only exercise the code).
        sentence: the same in words, with the numbers.
        why: of an uninformative one, of no result and of no verdict.
        revisions: of the code that made the pair's runs, where they are several.
    """

    claim: str
    difference: Difference
    p: float
    verdict: Kind
    sentence: str
    why: str = ""
    revisions: tuple[str, ...] = ()


class DataNote(_Record):
    """Which data a table was computed on. Questions have no users, items or interactions.

    `holds` says which texts and ratings there are and which not; "" in older files.
    """

    name: str
    digest: str
    users: int
    items: int
    interactions: int
    questions: int = 0
    holds: str = ""


def data_note(data: Corpus | Questions) -> DataNote:
    """What is noted of some data."""
    if isinstance(data, Questions):
        return DataNote(name=data.name, digest=data.digest, users=0, items=0, interactions=0, questions=len(data))
    sizes = {"users": data.n_users, "items": data.n_items, "interactions": data.n_interactions}
    return DataNote(name=data.name, digest=data.digest, holds=holds(data), **sizes)


class ModelNote(_Record):
    """What a table says of a language model.

    Attributes:
        real: a trained one answered, not a built-in double.
        about: its size, its form and whether it was tuned, in the words of whoever ran it.
        parameters: as its files say; 0 where they are not here.
    """

    real: bool
    about: str = ""
    parameters: int = 0


class Results(_Record):
    """One table on one data set.

    Attributes:
        experiment: its name, "cot_rec.table_1".
        title: for people.
        protocol: split, candidates, masking, metrics, what is published beside and how that was measured.
        data: which data.
        metrics: in the order shown; the first is the one claims are judged by.
        columns: published column -> its data set, table and protocol.
        claims: claim -> what it says.
        rows: by cell name, in the order of the experiment.
        verdicts: of the claims' pairs.
        notes: artefacts and warnings (how many users have no preference, merges per user, out-of-range numbers).
        measures: shown after the metrics, in this order.
        unjudged: why nothing is said of its claims; "" where verdicts are told.
        models: what is known of the language models that have a part in it, by name.
        commands: what was typed to compute it, each once, in the order of time.
    """

    experiment: str
    title: str
    protocol: str
    data: DataNote
    metrics: tuple[str, ...]
    columns: dict[str, str] = Field(default_factory=dict)
    claims: dict[str, str] = Field(default_factory=dict)
    rows: dict[str, Row] = Field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    notes: dict[str, str] = Field(default_factory=dict)
    measures: tuple[str, ...] = ()
    unjudged: str = ""
    models: dict[str, ModelNote] = Field(default_factory=dict)
    commands: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """File name without its ending."""
        return slug(self.experiment, self.data.name)


def slug(experiment: str, data: str) -> str:
    """File name (without ending) of an experiment's table on one data set."""
    name = f"{experiment}.{re.sub(r'[^A-Za-z0-9_.=-]+', '_', Path(data).name if '/' in data else data)}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def own_folder(home: Path, experiment: str, data: Corpus | Questions) -> Path:
    """Folder of a table in the home of whoever computes it; it need not be there.

    Tables over other data of the same name (another file `clicks.csv`) are told apart by the data's digest, so that
    none takes another's place.

    Raises:
        UsageError: the file that is there already is none of ours.
    """
    name = slug(experiment, data.name)
    folder = home / RESULTS / name
    there = folder / f"{name}.json"
    if there.exists() and read(there).data.digest != data.digest:
        return folder.with_name(f"{name}-{data.digest[:8]}")
    return folder


def own_tables(home: Path) -> list[Path]:
    """Files of the tables in a home, by the names of their folders; dials and mechanisms are not among them."""
    found = (home / RESULTS).glob("*/*.json")
    return sorted(path for path in found if path.parent.name.startswith(path.stem))


def read(path: Path) -> Results:
    """The table in this file.

    Raises:
        UsageError: there is something else in it.
    """
    return read_record(Results, path)


def read_folder(kind: type[T], folder: Path, *, mark: str) -> dict[str, T]:
    """The records of one kind in a folder, by file name without ending.

    Args:
        kind: of the records.
        folder: may hold others, too: tables, mechanisms and dials.
        mark: a field that only this kind has; objects without it are left out.

    Raises:
        UsageError: a file that is none of ours, or not whole.
    """
    found: dict[str, T] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            inside = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            inside = None
        if not inside or not isinstance(inside, dict) or mark in inside:
            found[path.stem] = read_record(kind, path)
    return found


def read_record(kind: type[T], path: Path) -> T:
    """What was written to a file of ours.

    Raises:
        UsageError: there is something else in it.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) + ": " if first["loc"] else ""
        raise UsageError(
            f"{path} is not a whole {kind.__name__} as whyrec writes it ({where}{first['msg']}). "
            f"Get it back from version control, or remove it to have it computed again."
        ) from None


def write(path: Path, results: Results) -> None:
    """Write the table, whole or not at all; floats keep 7 digits, so that a difference in the file means something."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rounded(results.model_dump(mode="json")), indent=1, ensure_ascii=False)
    atomic_write(path, f"{text}\n".encode())


def locked(home: Path, name: str) -> FileLock:
    """The lock under which the table with this slug is read, changed and written (kept away from the table itself)."""
    folder = home / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock")


def with_rows(results: Results, rows: dict[str, Row]) -> Results:
    """The table with these rows, without what was derived from runs that are no longer there."""
    present = {digest for row in rows.values() for digest in row.digests}
    kept = {
        name: row.model_copy(update={"delta": {m: d for m, d in row.delta.items() if present.issuperset(d.digests)}})
        for name, row in rows.items()
    }
    verdicts = tuple(v for v in results.verdicts if present.issuperset(v.difference.digests))
    return results.model_copy(update={"rows": kept, "verdicts": verdicts})


def rounded(value: Any) -> Any:
    """The same JSON-able value with floats of 7 digits."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value
