"""Texts written by a language model: the artefacts of an experiment come from runs of the graphs.

Asking for texts runs the graph, or goes on with the run that is there, or finds it finished and only reads it. What a
user's preference may read is fixed here, by the leakage matrix of spec 8: the history of the *validation* view, which
is s[:-2], so that neither the validation nor the test target is among it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from evals.artefacts import Source, Texts, of_the_data
from graphs.catalogue import Options as CatalogueOptions
from graphs.cot_rec import describe, preference
from graphs.estimate import Estimate, estimate
from graphs.run import How, Job, RunReport, prepare, run
from whyrec.data.corpus import Corpus
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.runs import Result, open_run


class GraphArtefacts:
    """Artefacts from graphs.

    Args:
        corpus: the data.
        how: how graphs are run (home, concurrency, budget, progress, the world of a simulated model).
        said: told of every finished graph run.
    """

    def __init__(
        self, corpus: Corpus, *, how: How, said: Callable[[Source, RunReport], None] = lambda _source, _report: None
    ) -> None:
        self._corpus, self._how, self._said = corpus, how, said
        self._made: dict[Source, Texts] = {}
        self._runs: dict[Source, RunReport] = {}

    def texts(self, source: Source) -> Texts:
        """The texts of this source, made on first use.

        Raises:
            UsageError: the graph could not be run to its end (no server, budget spent); running again goes on.
        """
        if source not in self._made:
            make = {"description": self._descriptions, "preference": self._preferences}.get(source.what)
            self._made[source] = make(source) if make else of_the_data(self._corpus, source)
        return self._made[source]

    def estimates(self, sources: Iterable[Source]) -> list[tuple[Source, Estimate]]:
        """What is still to be asked of models for these sources (finished runs cost nothing)."""
        found: dict[Source, Estimate] = {}
        written = [s for s in sources if s.llm]
        for source in dict.fromkeys([*(Source("description", s.llm) for s in written), *written]):
            name, options = self._job(source, described=found)
            job = prepare(name, corpus=self._corpus, model=source.llm, options=options, how=self._how)
            found[source] = asyncio.run(_estimated(job))
        return list(found.items())

    def _job(self, source: Source, *, described: Mapping[Source, Estimate]) -> tuple[str, Any]:
        """Workflow and options; a preference names its run of descriptions once that is finished."""
        if source.what == "description":
            return describe.NAME, CatalogueOptions()
        before = Source("description", source.llm)
        options = preference.Options(split="valid", batch=source.batch, overlap=source.overlap)
        if before in self._runs or described[before].examples == 0:
            self.texts(before)
            options = replace(options, descriptions=self._runs[before].run)
        return preference.NAME, options

    def _descriptions(self, source: Source) -> Texts:
        """Caption and description of every item (CoT-Rec 5.2.1)."""
        report = self._run(source, *self._job(source, described={}))
        captions = of_the_data(self._corpus, Source("caption")).texts
        texts, failed = list(captions), set(range(len(captions)))
        for result in self._results(report):
            if result.payload is not None:
                place = int(result.payload["index"]) - 1
                texts[place] = ". ".join(t for t in (captions[place], str(result.payload["text"])) if t)
                failed.discard(place)
        note = {"run": report.run, "items": len(texts), "without": len(failed)}
        return Texts(tuple(texts), tuple(sorted(failed)), note)

    def _preferences(self, source: Source) -> Texts:
        """Preference of every user from s[:-2], read with the items' descriptions; "" where there is none."""
        self.texts(Source("description", source.llm))
        report = self._run(source, *self._job(source, described={}))
        texts, merges = [""] * self._corpus.n_users, []
        for result in self._results(report):
            if result.payload is not None:
                words = ", ".join(result.payload["keywords"])
                texts[self._corpus.user_index[result.user]] = ". ".join(t for t in (result.payload["text"], words) if t)
                merges.append(int(result.payload["merges"]))
        asked = SplitView(self._corpus, "valid").users
        failed = tuple(int(u) for u in asked if not texts[int(u)])
        note = {
            "run": report.run,
            "users": len(asked),
            "without": len(failed),
            "merges per user": round(float(np.mean(merges)), 3) if merges else 0.0,
            "users with a merge": int(np.count_nonzero(merges)),
            "most merges": max(merges, default=0),
        }
        return Texts(tuple(texts), failed, note)

    def _run(self, source: Source, name: str, options: Any) -> RunReport:
        how = replace(self._how, command=f"whyrec eval ({source})")
        report = asyncio.run(run(name, corpus=self._corpus, model=source.llm, options=options, how=how))
        if report.ending == "interrupted":
            raise KeyboardInterrupt
        if report.left:
            raise UsageError(
                f"The texts {source} are not complete: {report.left:,} of {report.examples:,} examples of run "
                f"{report.run} are left. {report.reason} The same command goes on from there."
            )
        self._runs[source] = report
        self._said(source, report)
        return report

    def _results(self, report: RunReport) -> Iterator[Result]:
        reader = open_run(self._how.settings.home, report.run)
        try:
            yield from reader.results("done")
        finally:
            reader.close()


async def _estimated(job: Job) -> Estimate:
    try:
        return await estimate(job)
    finally:
        await job.model.close()
