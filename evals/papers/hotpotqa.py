"""PULSE Table 7: questions answered from their own paragraphs (paper 5.7; HotpotQA, distractor setting).

Each mode of hotpotqa.react is a cell per language model. Three anchors need no model: the title most like the question,
the longest title, any title. Two controls the paper lacks stand beside its own method: the same rationales chosen at
random, and by the plain cosine of an embedder. The right answers are opened here and in graphs/hotpotqa/answers.py,
when a run is done, and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evals.artefacts import Asked
from evals.doubts import ENOUGH, of_texts
from evals.experiment import BELOW, Cell, Claim, Context, Experiment, Told
from evals.output.published import published
from evals.registry import Options
from graphs.hotpotqa.answers import held_against_gold, match
from whyrec.data.questions import Gold, Question, Questions
from whyrec.data.some import HowMany, in_words, named, some
from whyrec.llm.built_in.blocks import tokens

NAME = "hotpotqa.table_7"
GRAPH = "hotpotqa.react"
METRICS = ("f1", "em")
COLUMN = "HotpotQA distractor"

# row -> options of the workflow, name of the row in the paper
_MODES = {
    "Standard": ("standard", "Standard"),
    "CoT": ("cot", "CoT"),
    "Act": ("act", "Act"),
    "ReAct": ("react", ""),
    "ReAct+CoT": ("react_cot", "ReAct+CoT"),
}
BEST = "best rationale"
RANDOM, COSINE, SPACE = f"{BEST}, at random", f"{BEST}, plain cosine", f"{BEST}, thought space"

HELPS, CHOOSING, TRAINED = "the best rationale helps", "choosing helps", "the space helps"
SAYS = {
    HELPS: "paper 5.7: answering after the rationale that fits best beats Standard, CoT, Act and ReAct+CoT",
    CHOOSING: "control: a rationale chosen by its fit beats one chosen at random",
    TRAINED: "control: a trained thought space chooses better than the plain cosine of an embedder",
}


def table_7(data: Questions, options: Options = Options()) -> Experiment:
    """PULSE Table 7 on these questions."""
    claims = tuple(claim for llm in options.llms for claim in _claims(llm, options))
    return Experiment(
        name=NAME,
        title="PULSE Table 7, questions answered from their paragraphs",
        protocol=(
            "every question's own paragraphs, in the distractor setting; exact match and F1 by the official rules of "
            "HotpotQA; intervals over questions; an unfinished search answers nothing and scores 0; Standard and CoT "
            "see all paragraphs, searches see what they look up" + _which(options)
        ),
        cells=(*_anchors(options), *(cell for llm in options.llms for cell in _cells(data, llm, options))),
        metrics=METRICS,
        claims=claims,
        says={name: says for name, says in SAYS.items() if any(c.name == name for c in claims)},
        columns={COLUMN: published(experiment="PULSE.T7")[0].where} if _is_hotpotqa(data) else {},
        measured=f"{in_words(options.users, 'questions')}, and only they are asked",
    )


def name_of(row: str, llm: str) -> str:
    """Name of a cell: "ReAct @extractive"."""
    return f"{row} @{llm}"


def _which(options: Options) -> str:
    return "" if options.users is None else f"; {in_words(options.users, 'questions')}"


def _cells(data: Questions, llm: str, options: Options) -> Iterator[Cell]:
    for row, asked, printed in _asked(llm, options):
        yield Cell(
            name_of(row, llm),
            _answered(asked),
            axes={"row": row, "llm": llm},
            settings={"asked": str(asked)},
            needs=(asked,),
            base="" if row == "Standard" else name_of("Standard", llm),
            seeded=False,
            published=_printed(printed) if _is_hotpotqa(data) else {},
            models=(llm,),
        )


def _asked(llm: str, options: Options) -> Iterator[tuple[str, Asked, str]]:
    """(row, run, name in the paper) of each cell of a model."""
    for row, (mode, printed) in _MODES.items():
        yield row, Asked(GRAPH, llm, (("mode", mode),), options.users), printed
    rows = {RANDOM: "random", COSINE: "embedder"} | {_space_row(s): s for s in options.spaces}
    for row, space in rows.items():
        chosen = Asked(GRAPH, llm, (("mode", "react_best"), ("space", space)), options.users)
        yield row, chosen, "" if row in (RANDOM, COSINE) else "ReAct+ThoughtSpace"


def _space_row(space: str) -> str:
    return f"{SPACE} {Path(space).name}"


def _claims(llm: str, options: Options) -> Iterator[Claim]:
    spaces = [_space_row(space) for space in options.spaces]
    for row in spaces or [COSINE]:
        for worse in ("Standard", "CoT", "Act", "ReAct+CoT"):
            yield Claim(HELPS, name_of(row, llm), name_of(worse, llm), "f1")
    for row in (COSINE, *spaces):
        yield Claim(CHOOSING, name_of(row, llm), name_of(RANDOM, llm), "f1")
    for row in spaces:
        yield Claim(TRAINED, name_of(row, llm), name_of(COSINE, llm), "f1")


def _answered(asked: Asked) -> Callable[[Context, int], Told]:
    """A cell that holds a run's answers against the right ones."""

    def tell(context: Context, _seed: int) -> Told:
        results = context.artefacts.results(asked)
        unfinished = sum(not r.payload["finished"] for r in results if r.payload is not None)
        about: dict[str, Any] = {"unfinished searches": unfinished}
        if unfinished:
            about[BELOW] = f"{unfinished:,} of {len(results):,} searches did not finish, so they answer nothing"
        answers = [str(r.payload["answer"]) for r in results if r.payload is not None]
        doubts = of_texts([a for a in answers if a] if any(answers) else answers, "answer")
        if len(results) >= ENOUGH and unfinished == len(results):
            doubts += (f"not one of {len(results):,} searches finished, so it answers nothing",)
        return Told(held_against_gold(context.questions, results), about=about, doubts=doubts)

    return tell


def _anchors(options: Options) -> Iterator[Cell]:
    for name, choose in {
        "title most like the question": _most_like,
        "longest title": lambda q: max((p.title for p in q.paragraphs), key=len, default=""),
        "any title": _any,
    }.items():
        settings = {"anchor": name, "users": named(options.users)}
        yield Cell(name, _titled(choose, options.users), settings=settings, anchor=True, seeded=False)


def _titled(choose: Callable[[Question], str], users: HowMany) -> Callable[[Context, int], Told]:
    """A cell that answers with a title."""

    def tell(context: Context, _seed: int) -> Told:
        gold = Gold(context.questions)
        questions = context.questions.questions
        asked = some(np.arange(len(questions), dtype=np.int64), users)
        return Told([match(int(i), choose(questions[i]), gold.answer(int(i))) for i in asked])

    return tell


def _most_like(question: Question) -> str:
    """The title with the most words of the question for its length; the first of equals."""
    asked = set(tokens(question.text))

    def share(title: str) -> float:
        words = set(tokens(title))
        return len(words & asked) / (len(words) + 1)

    return max((p.title for p in question.paragraphs), key=share, default="")


def _any(question: Question) -> str:
    """A title drawn by the question's id."""
    titles = [p.title for p in question.paragraphs]
    drawn = int.from_bytes(hashlib.blake2b(question.id.encode(), digest_size=8).digest(), "big")
    return titles[drawn % len(titles)] if titles else ""


def _printed(row: str) -> dict[str, dict[str, float]]:
    """What the paper prints for a row."""
    if not row:
        return {}
    found = published(experiment="PULSE.T7", method=row)
    return {COLUMN: {v.metric.lower(): v.value for v in found if v.value is not None}}


def _is_hotpotqa(data: Questions) -> bool:
    return Path(data.name.partition("?")[0]).name.startswith("hotpot")
