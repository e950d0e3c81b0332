"""The mechanisms: which part of a method is left out or exchanged, and beside what its outcome is looked at.

A mechanism names cells of experiments that exist already (`whyrec eval`): the method's, those that lack or exchange one
part of it, and a placebo, in which everything is in place but the texts are another user's. They are run on worlds of
one setting with `simulated:q`, which answers from the text of its prompt alone (docs/decisions/0010). What comes out
says what the machinery does with such texts; it says nothing about what a paper reports, nor about a real model.

The worlds are the units: users of one world share its items, its expert and its template. A gain is told apart from
nothing only where both a test over users and the interval over worlds say so (evals/mechanisms/numbers.py). Sizes were
chosen by what they cost; none of the worlds 40 to 44 had been looked at before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from evals.registry import EncodeAndMap, Options
from whyrec.errors import UnknownNameError

SETTINGS: Final = ("easy", "default", "hard")
SEEDS: Final = (40, 41, 42, 43, 44)
LEVELS: Final = ("simulated:0.5", "simulated:1")
PARTIAL: Final = ("simulated:0.5?reasons=partial", "simulated:1?reasons=partial")


@dataclass(frozen=True)
class Arm:
    """A cell of an experiment, without the model's name."""

    experiment: str
    row: str

    def cell(self, llm: str) -> str:
        """The cell's name."""
        return f"{self.row} @{llm}"


@dataclass(frozen=True)
class Mechanism:
    """One mechanism.

    Attributes:
        name: unique; of its file, too.
        title: what is looked at, for people.
        says: what is put in and what is exchanged for what.
        method: the row that has the part.
        others: rows that lack it or have another in its place.
        placebo: another user's texts.
        metric: of the experiments.
        users: asked about in each world: users, or rows.
        crowd: users of each world; more than are asked about where something is learnt from all.
        items: of each world.
        marks: which diagnostics stand beside (evals/mechanisms/marks.py); "" for none.
        seconds: CPU seconds of one world with one model, roughly.
        models: each with its own runs.
        embedder: of the thought space and of templates, where there is one.
        shown: events of a history that RALLRec+ shows; None for the paper's 30.
        seeds: of the worlds.
    """

    name: str
    title: str
    says: str
    method: Arm
    others: tuple[Arm, ...]
    placebo: Arm
    metric: str
    users: int
    crowd: int
    items: int
    marks: str = ""
    seconds: float = 20.0
    models: tuple[str, ...] = LEVELS
    embedder: str = "lsa"
    shown: int | None = None
    seeds: tuple[int, ...] = SEEDS

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All rows, the method first, the placebo last."""
        return (self.method, *self.others, self.placebo)

    def data(self, setting: str, seed: int, users: int | None = None) -> str:
        """Name of a world; with another number of users asked about, its crowd grows or shrinks alike."""
        crowd = self.crowd if users is None else max(self.crowd * users // self.users, users)
        named = "" if setting == "default" else f"{setting},"
        return f"world:{named}users={crowd},items={self.items},seed={seed}"

    def options(self, llms: Sequence[str], users: int | None = None) -> Options:
        """Of the experiments."""
        return Options(llms=tuple(llms), users=users or self.users, how=EncodeAndMap(self.embedder), shown=self.shown)


def _pulse(row: str) -> Arm:
    return Arm("pulse.table_4", row)


def _clicks(row: str) -> Arm:
    return Arm("rallrec.table_5", row)


_SELECTION: Final = Mechanism(
    name="pulse-selection",
    title="PULSE: which reason of a pool the choice is made with",
    says=(
        "Nine leaves per user, grown from one base reason. The reason in the prompt of the choice is the one that the "
        "learnt thought space picks, one drawn by lot, or the one nearest to the history by the embedder's plain "
        "cosine; HR@1 among ten candidates. Reasons use the words of titles, which any embedder of titles knows."
    ),
    method=_pulse("thought space"),
    others=(_pulse("random"), _pulse("embedding cosine")),
    placebo=_pulse("another user's reason"),
    metric="hr@1",
    users=120,
    crowd=240,
    items=240,
    marks="pulse",
    seconds=10.0,
)
_MERGING: Final = Mechanism(
    name="rallrec-merging",
    title="RALLRec+: how samples and expert are merged",
    says=(
        "Six samples of thought with the expert's opinion in the prompt, and the expert. They are merged by eq. 10 "
        "with the paper's alpha and epsilon; by weights held at alpha and 1; by the one constant weight that has the "
        "lowest log loss on validation rows; and by one constant that gives the samples the mean weight which eq. 10 "
        "gives them. Log loss, lower is better."
    ),
    method=_clicks("KP=1,CM=1"),
    others=(
        _clicks("KP=1,CM=0"),
        _clicks("KP=1, constant chosen on valid"),
        _clicks("KP=1, constant at eq. 10's mean"),
    ),
    placebo=_clicks("KP=1,CM=1, another user's thoughts"),
    metric="log_loss",
    users=120,
    crowd=400,
    items=240,
    marks="merging",
    models=("simulated:0.5", "simulated:0.8"),
    seconds=10.0,
)

MECHANISMS: Final[tuple[Mechanism, ...]] = (
    _SELECTION,
    replace(
        _SELECTION,
        name="pulse-selection-partial",
        title="PULSE: which reason of a pool the choice is made with, where a reason tells one interest",
        says=(
            "As pulse-selection, but a reason speaks of one of the interests that were read of the user, in words "
            "that no title has (`reasons=partial`). An embedder of titles or of letters knows nothing of such words; "
            "one that knows the language does, so the embedder that was used matters and is named."
        ),
        models=PARTIAL,
        embedder="hashed:256",
    ),
    Mechanism(
        name="pulse-tree",
        title="PULSE: the leaf of a tree of thoughts, or the reason it grew from",
        says=(
            "The leaf that the thought space picks from a tree (widths 3, 3), or the base reason it grew from, in the "
            "runs of pulse-selection. A refined reason is made from the history, read anew, and the reason before."
        ),
        method=_pulse("thought space"),
        others=(_pulse("base reason"),),
        placebo=_pulse("another user's reason"),
        metric="hr@1",
        users=_SELECTION.users,
        crowd=_SELECTION.crowd,
        items=_SELECTION.items,
        seconds=10.0,
    ),
    Mechanism(
        name="scoter-clustering",
        title="SCoTER: a template from the best cluster of paths, or from the top-K chains",
        says=(
            "Chains of train users are mined twice from the same paths; along either template twenty items are "
            "recommended to the test users; Recall@20. Nothing is behind the names of steps: an answer reads its "
            "prompt in one way, whatever its steps are called, so there is nothing to be mined, and a difference "
            "would be a fault of ours."
        ),
        method=Arm("scoter.table_2", "mined"),
        others=(Arm("scoter.table_2", "top-K"),),
        placebo=Arm("scoter.table_11", "another user's chains"),
        metric="recall@20",
        users=210,
        crowd=210,
        items=240,
        marks="scoter",
        models=("simulated:1",),
        seconds=20.0,
    ),
    _MERGING,
    replace(
        _MERGING,
        name="rallrec-merging-short",
        title="RALLRec+: how samples and expert are merged, where not all of a history is shown",
        says=(
            "As rallrec-merging, with 6 events of a history shown instead of 30, of some 10: only then do the ways to "
            "choose them differ, and with them the expert's opinions, whose variance eq. 10 reads."
        ),
        shown=6,
        models=("simulated:0.5",),
    ),
    replace(
        _MERGING,
        name="rallrec-injection",
        title="RALLRec+: the expert's opinion in the prompt, or none",
        says=(
            "Six samples of thought over the retrieved history, with and without the expert's hedged opinion in the "
            "prompt, nothing merged; in the placebo the opinion is about another row. That a reader is moved by an "
            "opinion is put in (it moves towards it where it is in two minds). Log loss, lower is better."
        ),
        method=_clicks("thinks, hinted"),
        others=(_clicks("thinks, retrieval"),),
        placebo=_clicks("thinks, another row's hint"),
        marks="injection",
    ),
)


def mechanism(name: str) -> Mechanism:
    """The mechanism of this name.

    Raises:
        UnknownNameError: there is none.
    """
    for one in MECHANISMS:
        if one.name == name:
            return one
    raise UnknownNameError("mechanism", name, [*(one.name for one in MECHANISMS), "all"])
