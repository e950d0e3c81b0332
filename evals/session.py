"""One evaluation from the names a person typed to a table: data, experiment, texts and runs, cells, verdicts.

The steps are apart so that a caller can say between them what will be done and what it will cost: `needs` (what models
have to be asked for), `plan()` (asks them, then knows which cells are missing), `run(jobs)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evals import evaluate as evaluation
from evals import results as tables
from evals.artefacts import Artefacts, Asked, Need
from evals.evaluate import Job, Notes, Place
from evals.experiment import Cell, Context, Experiment
from evals.forecast import Forecast, forecast
from evals.inputs.grounds import unjudged
from evals.metrics import metric
from evals.registry import Options, build
from evals.results import PLUMBING, CellRun, Results
from rec_models.fit import check_device
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions
from whyrec.data.some import Drawn, HowMany, in_words, some
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.precision import Precision, choose


@dataclass(frozen=True)
class Choice:
    """Which part of an experiment is to be run.

    Attributes:
        seeds: of training.
        cells: glob patterns joined by ';'.
        backbone: only cells of this backbone, and those without one; "" for all.
        device: where to train.
        precision: of what is trained.
        one_revision: run again what another revision of the code made.
        notes: written beside the rows: the command that was typed, what is known of the models.
    """

    seeds: tuple[int, ...]
    cells: str = "*"
    backbone: str = ""
    device: str = "cpu"
    precision: Precision = "auto"
    one_revision: bool = False
    notes: Notes = field(default_factory=Notes)


class Session:
    """See the module.

    Args:
        name: the experiment.
        corpus: the data.
        artefacts: where texts and results of workflows come from.
        place: where things are kept.
        choice: which part to run.
        options: of the experiment.

    Raises:
        UnknownNameError: no such experiment, or `choice.cells` matches nothing.
        UsageError: `choice.device` is not here, or does not know `choice.precision`.
    """

    def __init__(
        self,
        name: str,
        corpus: Corpus | Questions,
        *,
        artefacts: Artefacts,
        place: Place,
        choice: Choice,
        options: Options,
    ) -> None:
        check_device(choice.device)
        choose(choice.precision, choice.device)
        self.experiment = _marked(build(name, corpus, options), corpus, place)
        self.corpus, self.artefacts, self.place = corpus, artefacts, place
        self.choice, self.options = choice, options
        axes = {"backbone": choice.backbone} if choice.backbone else {}
        self.cells: tuple[Cell, ...] = self.experiment.select(choice.cells, axes)
        self._over = self._users_measured()
        self._check_users()

    @property
    def needs(self) -> tuple[Need, ...]:
        """Texts and runs of workflows the chosen cells read."""
        return tuple(dict.fromkeys(need for cell in self.cells for need in cell.needs))

    def plan(self) -> list[Job]:
        """What there is to do. Texts and runs that are not there yet are made by their models now."""
        return evaluation.plan(
            self.experiment,
            self._context(print),
            self.place,
            seeds=self.choice.seeds,
            cells=self.cells,
            one_revision=self.choice.one_revision,
        )

    def run(self, jobs: Sequence[Job], *, done: Callable[[Job, CellRun], None], say: Callable[[str], None]) -> Results:
        """Run the missing jobs, judge the claims and note how the texts and runs came about."""
        table = evaluation.evaluate(self.experiment, self._context(say), self.place, jobs=jobs, done=done)
        made = [need for need in self.needs if need.llm]
        notes = {shown_name(need, among=made): _sentence(self.artefacts.note(need)) for need in made}
        if self.options.mask_seen and isinstance(self.corpus, Corpus):
            notes |= _repeats(self.corpus)
        notes |= self._over
        whole = set(table.rows) <= {cell.name for cell in self.cells}
        asked = {name for cell in self.cells for name in cell.models}
        models = {name: note for name, note in self.choice.notes.models.items() if name in asked}
        said = replace(self.choice.notes, told=notes, whole=whole, models=models)
        return evaluation.note(self.experiment, self.corpus, self.place, said)

    def forecast(self) -> Forecast:
        """How long the chosen cells will take, before any model is asked."""
        path = self.place.table(tables.slug(self.experiment.name, self.corpus.name))
        table = tables.read(path) if path.exists() else None
        measured = table.rows if table is not None and table.data.digest == self.corpus.digest else {}
        return forecast(self.cells, len(self.choice.seeds), data=self.corpus, measured=measured)

    def out_of_range(self, table: Results) -> tuple[list[str], list[str]]:
        """Sentences about numbers that cannot be believed: (too low, too high); see `Experiment.out_of_range`."""
        metrics = self.experiment.metrics
        means = {
            name: {m: sum(run.test[m].mean for run in row.runs) / len(row.runs) for m in metrics}
            for name, row in table.rows.items()
        }
        return self.experiment.out_of_range(means)

    def _users_measured(self) -> dict[str, str]:
        """A note of which users are measured, where not all are."""
        of_users = metric(self.experiment.metrics[0]).examples == "users"
        if not self.options.users or not isinstance(self.corpus, Corpus) or not of_users:
            return {}
        if not self.experiment.of_split:
            return {"users": self.experiment.measured}
        return _some_users(self.corpus, self.options.users)

    def _check_users(self) -> None:
        """Rows over other users are not to stand in one table.

        Raises:
            UsageError: the table's file holds rows over others, which this would leave there.
        """
        path = self.place.table(tables.slug(self.experiment.name, self.corpus.name))
        table = tables.read(path) if path.exists() else None
        kept = sorted(set(table.rows) - {cell.name for cell in self.cells}) if table is not None else []
        if table is None or not kept:
            return
        there, now = (notes.get("users", "all users") for notes in (table.notes, self._over))
        if there != now:
            some_kept = ", ".join(kept[:3]) + (", …" if len(kept) > 3 else "")
            raise UsageError(
                f"{path} holds rows over {there.partition(':')[0]}, and these would be over {now.partition(':')[0]}. "
                f"Run the rest of its cells, too ({some_kept}; --cells and --llm choose them), or name another folder "
                f"with --results."
            )

    def _context(self, say: Callable[[str], None]) -> Context:
        where = self.choice
        return Context(
            self.corpus, self.artefacts, self.place.home, device=where.device, precision=where.precision, say=say
        )


def _marked(experiment: Experiment, data: Corpus | Questions, place: Place) -> Experiment:
    """The experiment, unjudged where the data carry no verdict, and a quick look where they are cut (`?users=N`).

    A table among the plumbing has no claims at all.
    """
    if place.folder.name == PLUMBING:
        experiment = replace(experiment, claims=(), says={})
    experiment = replace(experiment, unjudged=experiment.unjudged or unjudged(data))
    first = data.notes.get("first users only") if isinstance(data, Corpus) else None
    if not first:
        return experiment
    why = f"the data are cut to their first {first:,} users"
    cells = tuple(replace(cell, quick=f"{why}; {cell.quick}" if cell.quick else why) for cell in experiment.cells)
    return replace(experiment, cells=cells)


def shown_name(need: Need, *, among: Sequence[Need]) -> str:
    """A need for people: short where that tells it from the others."""
    if not isinstance(need, Asked):
        return str(need)
    alike = [other for other in among if isinstance(other, Asked) and other.brief == need.brief]
    return need.brief if len(alike) == 1 else str(need)


def _sentence(note: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in note.items()
    )


def _some_users(corpus: Corpus, wanted: HowMany) -> dict[str, str]:
    """A note of which users are measured, where not all are, and how unlike the others they are."""
    view = SplitView(corpus, "test")
    chosen = some(view.users, wanted)
    if len(chosen) == len(view.users):
        return {}
    mean, of_all = (corpus.lengths[users].mean() - 1 for users in (chosen, view.users))
    told = (
        f"{in_words(wanted, 'users')} of {len(view.users):,}: {mean:.1f} events of history on average, all {of_all:.1f}"
    )
    if not isinstance(wanted, Drawn):
        told += "; they are no random draw, so only rows of this table can be held against each other"
    return {"users": told}


def _repeats(corpus: Corpus) -> dict[str, str]:
    """A note about test targets that masking makes unreachable (spec 9.5, Yelp), where there are any."""
    view = SplitView(corpus, "test")
    again = sum(bool((view.history(int(u)) == t).any()) for u, t in zip(view.users, view.targets, strict=True))
    if not again:
        return {}
    return {
        "repeats": f"{again / len(view.users):.1%} of the test targets are already in the history shown and cannot be "
        "found while seen items are left out; ?dedup after the data set's name drops repeated events"
    }
