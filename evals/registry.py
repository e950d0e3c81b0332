"""Experiments by name; a module is imported when its experiment is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, cast

from evals.experiment import Experiment
from whyrec import plugins
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions, need_corpus, need_questions
from whyrec.data.some import HowMany
from whyrec.errors import UnknownNameError, UsageError

# name -> module, function, one line for lists
_EXPERIMENTS = {
    "cot_rec.preferences": (
        "evals.papers.cot_rec.preferences",
        "preferences",
        "CoT-Rec: what a written preference tells of the next item, with nothing trained",
    ),
    "cot_rec.table_1": (
        "evals.papers.cot_rec.table_1",
        "table_1",
        "CoT-Rec Table 1: where a recommender's items and users start from",
    ),
    "cot_rec.table_2": (
        "evals.papers.cot_rec.table_2",
        "table_2",
        "CoT-Rec Table 2: retrieved items ranked by a language model",
    ),
    "hotpotqa.table_7": (
        "evals.papers.hotpotqa",
        "table_7",
        "PULSE Table 7: questions answered from their paragraphs (--data facts or hotpotqa)",
    ),
    "pulse.table_4": ("evals.papers.pulse.tables", "table_4", "PULSE Table 4: which scoring space picks the reason"),
    "pulse.leaks": ("evals.papers.pulse.tables", "leaks", "PULSE: what knowing the target is worth, leak by leak"),
    "pulse.figure_3": (
        "evals.papers.pulse.figure_3",
        "figure_3",
        "PULSE Figure 3: behaviours and rationales in thought space",
    ),
    "rallrec.table_5": (
        "evals.papers.rallrec.tables",
        "table_5",
        "RALLRec+ Tables 2-5: clicks by reasoning, with an expert merged",
    ),
    "rallrec.table_6": (
        "evals.papers.rallrec.tables",
        "table_6",
        "RALLRec+ Table 6, Figure 8: what of a history is retrieved",
    ),
    "rallrec.figure_2": (
        "evals.papers.rallrec.figures",
        "figure_2",
        "RALLRec+ Figure 2: length of responses and accuracy",
    ),
    "rallrec.figure_3": ("evals.papers.rallrec.figures", "figure_3", "RALLRec+ Figure 3: consistency and accuracy"),
    "rallrec.figure_6": ("evals.papers.rallrec.figures", "figure_6", "RALLRec+ Figure 6: alpha of eq. 10"),
    "rallrec.figure_7": ("evals.papers.rallrec.figures", "figure_7", "RALLRec+ Figure 7: epsilon of eq. 10"),
    "scoter.table_2": (
        "evals.papers.scoter",
        "table_2",
        "SCoTER Table 2: a template from clusters or from the top K chains",
    ),
    "scoter.table_3": ("evals.papers.scoter", "table_3", "SCoTER Table 3: templates of other data sets"),
    "scoter.table_11": (
        "evals.papers.scoter",
        "table_11",
        "SCoTER Table 11: a language model recommends along templates",
    ),
}


@dataclass(frozen=True)
class Table:
    """A table as a plug-in declares it.

    Attributes:
        name: "paper.table".
        about: one line for lists.
        build: data and options -> the experiment.
        of_questions: whether it is about questions, not interactions.
    """

    plugin_kind: ClassVar[plugins.Kind] = "tables"
    name: str
    about: str
    build: Callable[[Any, Options], Experiment]
    of_questions: bool = False


Labels: TypeAlias = Literal["any", "logprobs", "score", "answer"]


@dataclass(frozen=True)
class EncodeAndMap:
    """How texts become rows of a recommender's table (CoT-Rec 4.2.2).

    Attributes:
        embedder: as `whyrec.embed.open_embedder` names them; `lsa` is fitted on the texts of the items.
        method: from the embedder's width to the recommender's; "pca" is fitted on the items' texts, "truncate" is for
            embedders trained for it (the paper's).
        norm: length of the rows.
    """

    embedder: str = "lsa"
    method: Literal["pca", "truncate", "random"] = "pca"
    norm: float = 1.0


@dataclass(frozen=True)
class Options:
    """What can be chosen about an experiment; each uses what concerns it.

    Attributes:
        llms: models that write texts, the weakest first; each adds the cells that read them.
        folds: (batch, overlap) of the preference fold; the first fills the grid, each other adds one cell.
        how: Encode & Map; PULSE's trees take its embedder.
        epochs: at most this many, below the preset's; for demos, and then no range is checked.
        mask_seen: leave seen items out of the ranking.
        cache: folder for fitted embedders.
        users: at most this many users (rows, questions) of the split are measured: the first ones, or `Drawn`; None for
            as many as the experiment measures by itself. `Experiment.measured` says what is read for it beyond them.
        spaces: saved thought spaces that choose among rationales, each adding a cell.
        shown: events of a history that RALLRec+ shows; None for the paper's 30.
        embedders: further ones beside `how`'s, each adding cells that read the same texts.
        labels: the one way in which option letters are read in all rows; "any" takes the first that a model can.
        rotations: position bias also by rotations of the order, a second column.
        window: rows in RALLRec+ Figure 3's window; 0 for a fifth of them.
        recommenders: of plug-ins, each a further row of cot_rec.table_1.
    """

    llms: tuple[str, ...] = ("extractive",)
    folds: tuple[tuple[int, int], ...] = ((10, 2),)
    how: EncodeAndMap = field(default_factory=EncodeAndMap)
    epochs: int | None = None
    mask_seen: bool = True
    cache: Path | None = None
    users: HowMany = None
    spaces: tuple[str, ...] = ()
    shown: int | None = None
    embedders: tuple[str, ...] = ()
    labels: Labels = "logprobs"
    rotations: bool = True
    window: int = 0
    recommenders: tuple[str, ...] = ()


Builder = Callable[[Any, Options], Experiment]
_OF_QUESTIONS = ("hotpotqa.table_7",)


def about() -> dict[str, str]:
    """Every experiment and what it is, those of plug-ins too."""
    ours = {name: line for name, (_module, _function, line) in _EXPERIMENTS.items()}
    guests = {name: guest.value.about for name, guest in plugins.found("tables").items()}
    return {name: ours.get(name) or guests[name] for name in plugins.names("tables", ours)}


def builder(name: str) -> Builder:
    """The function that builds this experiment, from a corpus or from questions.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in _EXPERIMENTS:
        if (own := _guest(name)) is not None:
            return own.build
        raise UnknownNameError("experiment", name, about())
    module, function, _line = _EXPERIMENTS[name]
    found: Builder = getattr(importlib.import_module(module), function)
    return found


TITLES = "titles"
_CHOICES = {
    "labels": ("any", "logprobs", "score", "answer"),
    "rotations": ("yes", "no"),
    "window": ("a whole number of rows",),
    TITLES: ("anonymous", "bare"),
    "recommender": ("recommenders of plug-ins, joined by commas",),
}


def chosen(options: Options, pairs: Mapping[str, str]) -> Options:
    """The options with those typed as KEY=VALUE (`whyrec eval -o`) in them.

    `titles` is of the data, so whoever opens these reads it (whyrec/data/readers/anonymous.py); here it is only known.

    Raises:
        UnknownNameError: no such option.
        UsageError: a value that it cannot have.
    """
    for key, value in pairs.items():
        if key not in _CHOICES:
            raise UnknownNameError("option of a table", key, _CHOICES)
        good = value in _CHOICES[key]
        if key == "window":
            good = value.isdecimal() and len(value) < 8
        elif key == "recommender":
            good = bool(value.strip(", "))
        if not good:
            raise UsageError(f"-o {key}={value}: {key} is {' or '.join(_CHOICES[key])}.")
    return replace(
        options,
        labels=cast(Labels, pairs.get("labels", options.labels)),
        rotations=pairs.get("rotations", "yes" if options.rotations else "no") == "yes",
        window=int(pairs.get("window", options.window)),
        recommenders=tuple(filter(None, pairs.get("recommender", ",".join(options.recommenders)).split(","))),
    )


def build(name: str, data: Corpus | Questions, options: Options) -> Experiment:
    """This experiment on this data.

    Raises:
        UnknownNameError: there is none of this name.
        UsageError: it is about data of the other kind.
    """
    make, own = builder(name), _guest(name)
    questions = name in _OF_QUESTIONS if own is None else own.of_questions
    return make(need_questions(data) if questions else need_corpus(data), options)


def _guest(name: str) -> Table | None:
    found = None if name in _EXPERIMENTS else plugins.found("tables").get(name)
    return None if found is None else found.value
