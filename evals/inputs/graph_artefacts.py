"""What language models wrote: the artefacts of an experiment come from runs of the graphs.

Asking for texts runs the graph, or goes on with the run that is there, or finds it finished and only reads it. What a
user's preference may read is fixed here, by the leakage matrix of spec 8: the history of the *validation* view, which
is s[:-2], so that neither the validation nor the test target is among it. Results of any other workflow come from
`evals.inputs.workflow_runs`; what those may read is fixed by the workflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from evals.artefacts import Asked, Need, Source, Texts, of_the_data
from evals.inputs.workflow_runs import WorkflowRuns, brought_to_its_end, estimated
from graphs.cot_rec import describe, preference
from graphs.cot_rec.written import item_text, user_text
from graphs.engine.estimate import Estimate
from graphs.run import How, RunReport, prepare
from graphs.shared.catalogue import Options as CatalogueOptions
from whyrec.data.corpus import Corpus
from whyrec.data.questions import Questions, need_corpus
from whyrec.data.split import SplitView
from whyrec.runs import Result, open_run


class GraphArtefacts:
    """Artefacts from graphs.

    Args:
        corpus: the data.
        how: how graphs are run (home, concurrency, budget, progress, the world of a simulated model).
        said: told of every finished graph run.
    """

    def __init__(
        self,
        corpus: Corpus | Questions,
        *,
        how: How,
        said: Callable[[Need, RunReport], None] = lambda _need, _report: None,
    ) -> None:
        self._data, self._how, self._said = corpus, how, said
        self._made: dict[Source, Texts] = {}
        self._runs: dict[Source, RunReport] = {}
        self._asked = WorkflowRuns(corpus, how=how, said=said)

    @property
    def _corpus(self) -> Corpus:
        return need_corpus(self._data)

    def texts(self, source: Source) -> Texts:
        """The texts of this source, made on first use.

        Raises:
            UsageError: the graph could not be run to its end (no server, budget spent); running again goes on.
        """
        if source not in self._made:
            make = {"description": self._descriptions, "preference": self._preferences}.get(source.what)
            self._made[source] = make(source) if make else of_the_data(self._corpus, source)
        return self._made[source]

    def results(self, asked: Asked) -> tuple[Result, ...]:
        """The results of this run's examples, done and failed, ordered by key; run on first use.

        Raises:
            UsageError: options are not usable, or the run could not be brought to its end; running again goes on.
            KeyboardInterrupt: it was interrupted.
        """
        return self._asked.recorded(asked).results

    def digest(self, need: Need) -> str:
        """Digest of the texts, or of the results."""
        return self._asked.recorded(need).digest if isinstance(need, Asked) else self.texts(need).digest

    def note(self, need: Need) -> Mapping[str, Any]:
        """How they came about."""
        return self._asked.recorded(need).note if isinstance(need, Asked) else self.texts(need).note

    def estimates(self, needs: Iterable[Need]) -> list[tuple[Need, Estimate | None]]:
        """What is still to be asked of models for these needs (finished runs cost nothing).

        None for a run that needs another one to be there before it can be estimated.
        """
        runs: dict[Asked, Estimate | None] = {}
        sources: list[Source] = []
        for need in needs:
            if isinstance(need, Asked):
                runs |= self._asked.estimates(need)
            else:
                sources.append(need)
        return [*self._texts_estimates(sources), *runs.items()]

    def _texts_estimates(self, sources: Iterable[Source]) -> list[tuple[Source, Estimate]]:
        found: dict[Source, Estimate] = {}
        written = [s for s in sources if s.llm]
        for source in dict.fromkeys([*(Source("description", s.llm) for s in written), *written]):
            name, options = self._job(source, described=found)
            job = prepare(name, corpus=self._corpus, model=source.llm, options=options, how=self._how)
            found[source] = asyncio.run(estimated(job))
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
                texts[place] = item_text(captions[place], result.payload)
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
                texts[self._corpus.user_index[result.user]] = user_text(result.payload)
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
        job = prepare(name, corpus=self._corpus, model=source.llm, options=options, how=how)
        report = brought_to_its_end(job, f"What {source} is made of")
        self._runs[source] = report
        self._said(source, report)
        return report

    def _results(self, report: RunReport) -> Iterator[Result]:
        reader = open_run(self._how.settings.home, report.run)
        try:
            yield from reader.results("done")
        finally:
            reader.close()
