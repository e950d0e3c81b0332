"""What chooses among rationales: plain cosine, a placebo, a saved thought space, or one learnt from questions.

The paper's claim is transfer: a space learnt on a recommendation set chooses among reasons for answers. Such a space is
named by its folder; its note says on which data it was learnt, and so on which texts its embedder was fitted. The
control is a space learnt from rationales of *training questions*: `qa:RUN` names a run of hotpotqa.react over other
questions, and the first rationale of each that led to the right answer is taken for a positive one. That is the only
place outside evaluation where right answers are read, and never those of the questions asked now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

from graphs.hotpotqa.examples import Options, Task
from graphs.shared.earlier_run import open_earlier
from graphs.shared.reasons import PLAIN, RANDOM, ReasonScorer, open_scorer, space_digest
from graphs.workflow import Source
from whyrec.data import open_again, open_data
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Gold, Questions, need_questions
from whyrec.data.text import captions
from whyrec.embed import Embedder, open_embedder
from whyrec.errors import LeakageError
from whyrec.llm.built_in.blocks import tokens

if TYPE_CHECKING:
    from rec_models.thought_space.fit import Pairs

GRAPH = "hotpotqa.react"
_QA = "qa:"
_FOLDER = "thought_spaces"


def resolved(source: Source, options: Options) -> Options:
    """The options with all that the choice follows from: the run in full, the data its embedder was fitted on.

    Raises:
        UsageError: there is no such space or run, or it is a run of another graph or without rationales.
        LeakageError: the run is over questions that are asked now.
    """
    space = options.space
    if space in (PLAIN, RANDOM):
        return options
    if not space.startswith(_QA):
        digest = space_digest(space)
        return replace(options, space_digest=digest, catalogue=options.catalogue or _learnt_on(Path(space)))
    run = open_earlier(source.home, space.removeprefix(_QA).partition("@")[0], GRAPH)
    try:
        info = run.info()
        name, path = str(info["data"]), info.get("data_path", "")
        known = {q.id for q in need_questions(open_again(name, path).data).questions}
        if shared := sum(q.id in known for q in source.questions.questions):
            raise LeakageError(
                f"Run {run.id} is over {name}, and {shared} of its questions are asked now. Learn the space from a run "
                "over training questions, such as hotpotqa?part=train or facts:seed=1."
            )
        return replace(options, space=f"{_QA}{run.id}", space_digest=run.digest(), catalogue=name)
    finally:
        run.close()


def scorer(source: Source, options: Options) -> ReasonScorer:
    """The scorer that resolved options name; a space is learnt at the first call and read afterwards.

    Raises:
        UsageError: as `graphs.shared.reasons.open_scorer`, or too few rationales to learn from.
    """
    if not options.space.startswith(_QA):
        return open_scorer(options.space, lambda: embedder_of(source, options))
    embedder = embedder_of(source, options)
    folder = source.home / _FOLDER / f"qa-{options.space_digest}-{embedder.name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "space.json").exists():
            _learn(source.home, options, embedder, folder)
    return open_scorer(str(folder), lambda: embedder)


def embedder_of(source: Source, options: Options) -> Embedder:
    """The embedder, fitted (where that is needed) on the data named, or on the questions' own paragraphs."""
    data = open_data(options.catalogue).data if options.catalogue else source.questions
    texts = captions(data) if isinstance(data, Corpus) else _paragraphs(data)
    return open_embedder(options.embedder, fit_on=texts, cache=source.home / "embedders")


def _learnt_on(folder: Path) -> str:
    """The data that a saved space's note names, "" if it names none."""
    note = json.loads((folder / "space.json").read_text()).get("note", {})
    return str(note.get("data", ""))


def _paragraphs(data: Questions) -> list[str]:
    return list(dict.fromkeys(f"{p.title}. {p.text}" for q in data.questions for p in q.paragraphs))


def _learn(home: Path, options: Options, embedder: Embedder, folder: Path) -> None:
    from rec_models.thought_space.fit import fit_space
    from rec_models.thought_space.space import ThoughtSpace

    space = ThoughtSpace.over(embedder)
    report = fit_space(space, pairs(home, options))
    fit = {"pairs": report.pairs, "mrr_before": report.mrr_before, "mrr": report.mrr, "best_epoch": report.best_epoch}
    space.save(folder, note={"data": options.catalogue, "run": options.space.removeprefix(_QA), "fit": fit})


def pairs(home: Path, options: Options) -> Pairs:
    """The first rationale of each training question that led to the right answer, with the question's text."""
    from rec_models.thought_space.fit import Pairs

    data = need_questions(open_data(options.catalogue).data)
    run = open_earlier(home, options.space.removeprefix(_QA), GRAPH)
    try:
        found = list(_right(data, (dict(r.payload or {}) for r in run.results("done"))))
    finally:
        run.close()
    places = np.array([i for i, _ in found], dtype=np.int64)
    texts = tuple(Task(data.questions[i], i, options).text for i, _ in found)
    return Pairs(places, places, tuple(reason for _, reason in found), texts)


def _right(data: Questions, payloads: Iterable[dict[str, object]]) -> Iterator[tuple[int, str]]:
    """(place, rationale) of each question that has a right one."""
    gold = Gold(data)
    for payload in payloads:
        place, reasons = int(str(payload["index"])), payload["reasons"]
        assert isinstance(reasons, list)
        right = [r["reasoning"] for r in reasons if tokens(str(r["answer"])) == tokens(gold.answer(place))]
        if right:
            yield place, str(right[0])
