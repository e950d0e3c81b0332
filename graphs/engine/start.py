"""One start of a run: workers that pull examples from one lazy feed and settle each exactly once.

Nothing waits in a queue: an example is looked up, built and forgotten by the worker that has it. Its result and its
done-mark are one row, so a process killed at any moment leaves every example either settled or untouched.

Unusual: examples that found no server are held back. If one that was begun later gets its answers, they had bad luck
and are recorded as failed; if many in a row find none, the server is gone, the run stops, and they are left to be done.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from agents.agent import AnswerError
from graphs.engine.garbage import collect_seldom
from graphs.engine.job import Ending, Job, RunReport
from graphs.engine.progress import Snapshot, since
from graphs.engine.trial import TRIED, Trial, Watched
from graphs.services import Services
from graphs.workflow import MissingInput
from whyrec.llm import Stamped
from whyrec.llm.model import Disconnected, Halted, LanguageModel, ModelError, Overloaded, Refused, Unfit
from whyrec.redaction import cut
from whyrec.runs import Result, Run
from whyrec.runs.export import write_parquet

_CHUNK = 256  # done-marks looked up at once
_TICK_S = 0.25
GONE_AFTER = 16  # examples in a row that found no server
_NO_SERVER = (Disconnected, Overloaded, Refused)  # after the retries that each kind allows


class Start:
    """Runs what is left of a job.

    Args:
        job: what to run and how.
        run: where it is recorded; this process is its writer.
        llms: by `id` of each of the job's models, it with all its wrappers; the stamp on the outside is replaced, one
            per retry generation.
    """

    def __init__(self, job: Job, run: Run, llms: Mapping[int, LanguageModel]) -> None:
        self._job, self._run = job, run
        self._llms = {number: llm.inner for number, llm in llms.items() if isinstance(llm, Stamped)}
        assert len(self._llms) == len(llms)
        self._graph = job.flow.build()
        self._services: dict[int, Services] = {}
        self._ending: Ending = "done"
        self._reason = ""
        self._held: list[tuple[float, Result]] = []
        self._counts = run.counts()
        self._unusable = Counter(run.unusable())
        self._trial = Trial(on=not (job.how.keep_going or job.how.settings.keep_going) and self._counts.done < TRIED)
        self._began = time.monotonic()
        # done and failed by this start, and what earlier starts had settled
        self._now = {"done": 0, "failed": 0}
        self._before = {"done": 0, "failed": 0}
        self._in_flight = 0

    async def go(self) -> RunReport:
        """Work until nothing is left, or until told or forced to stop."""
        job, feed = self._job, self._feed()
        self._run.metric("examples", len(job.inputs.indices))
        workers = min(job.how.concurrency or job.how.settings.concurrency, max(1, len(job.inputs.indices)))
        tasks = [asyncio.create_task(self._work(feed)) for _ in range(workers)]
        job.how.stop.watch(tasks)
        ticker = asyncio.create_task(self._tick())
        try:
            with collect_seldom():
                await _finish(tasks)
        finally:
            ticker.cancel()
        if job.how.stop.asked and self._ending == "done":
            self._end("interrupted", "")
        if self._ending != "no server":
            self._release(time.monotonic())
        self._count_rest(feed)
        return self._report()

    def snapshot(self) -> Snapshot:
        """The run at this moment."""
        return Snapshot(
            run=self._run.id,
            examples=len(self._job.inputs.indices),
            before=sum(self._before.values()),
            done=self._now["done"],
            failed=self._now["failed"],
            in_flight=self._in_flight,
            seconds=time.monotonic() - self._began,
            calls=since(self._run.counts(), self._counts),
        )

    def _feed(self) -> Iterator[tuple[int, str, int]]:
        """(index, key, retry generation) of the examples to do, in order; counts the others."""
        inputs, again = self._job.inputs, self._job.how.retry_failed
        for at in range(0, len(inputs.indices), _CHUNK):
            chunk = {inputs.key(int(i)): int(i) for i in inputs.indices[at : at + _CHUNK]}
            marks = self._run.statuses(chunk)
            for key, index in chunk.items():
                mark = marks.get(key)
                if mark is None:
                    yield index, key, 0
                elif mark == "failed" and again:
                    yield index, key, self._generation(key) + 1
                else:
                    self._before[mark] += 1

    def _generation(self, key: str) -> int:
        result = self._run.result(key)
        assert result is not None
        return result.generation

    async def _work(self, feed: Iterator[tuple[int, str, int]]) -> None:
        while not self._over:
            await self._trial.begin_example()
            failed: bool | None = None
            try:
                example = None if self._over else next(feed, None)
                if example is None:
                    return
                self._in_flight += 1
                try:
                    failed = await self._settle(*example)
                finally:
                    self._in_flight -= 1
            finally:
                self._trial.end_example(failed=failed)
            if self._trial.verdict:
                self._end("unfit", self._trial.verdict)

    @property
    def _over(self) -> bool:
        return self._ending != "done" or self._job.how.stop.asked

    async def _settle(self, index: int, key: str, generation: int) -> bool | None:
        """Do one example and record what came of it.

        Returns:
            Whether it failed for want of a usable answer; None where it failed for another reason or is left.
        """
        began = time.monotonic()
        user, split = self._job.inputs.place(index)
        blank = Result(key=key, user=user, split=split, status="failed", generation=generation)
        try:
            payload = await self._think(index, generation)
        except Halted as error:
            self._end("unfit" if isinstance(error, Unfit) else "budget", str(error))
        except _NO_SERVER as error:
            self._hold(replace(blank, reason=f"{type(error).__name__}: {error}"))
        except (AnswerError, MissingInput, ModelError) as error:
            self._release(began)
            self._record(replace(blank, reason=f"{type(error).__name__}: {error}"))
            return True if isinstance(error, AnswerError) else None
        else:
            self._release(began)
            self._record(replace(blank, status="done", payload=payload))
            return False
        return None

    async def _think(self, index: int, generation: int) -> dict[str, Any]:
        flow = self._job.flow
        state = self._job.inputs.state(index)
        services = self._services.get(generation)
        if services is None:
            stamped = {
                n: Stamped(Watched(llm, self._trial), run=self._run.id, retry=generation)
                for n, llm in self._llms.items()
            }
            services = self._services[generation] = Services(self._job.cast(stamped), self._job.parts, self._run)
        config = {"recursion_limit": flow.steps(state), "run_name": flow.name}
        final = await self._graph.ainvoke(state, config, context=services)
        return flow.result(flow.state(**final))

    def _record(self, result: Result) -> None:
        self._run.record([result])
        self._now[result.status] += 1

    def _hold(self, result: Result) -> None:
        self._held.append((time.monotonic(), result))
        if len(self._held) >= GONE_AFTER:
            self._end("no server", f"{GONE_AFTER} examples in a row got no answer, the last one so: {result.reason}")

    def _release(self, began: float) -> None:
        """The server answered an example begun at this time: those that had found none by then were unlucky."""
        while self._held and self._held[0][0] <= began:
            self._record(self._held.pop(0)[1])

    def _end(self, ending: Ending, reason: str) -> None:
        if self._ending == "done":
            self._ending, self._reason = ending, reason

    def _count_rest(self, feed: Iterator[tuple[int, str, int]]) -> None:
        """After an early ending: what the feed never reached may have been settled before."""
        for _, _, generation in feed:
            if generation:
                self._before["failed"] += 1

    async def _tick(self) -> None:
        progress = self._job.how.progress
        while progress is not None:
            progress(self.snapshot())
            await asyncio.sleep(_TICK_S)

    def _report(self) -> RunReport:
        """Close the books: state, manifest, Parquet."""
        run, now = self._run, self.snapshot()
        report = RunReport(
            ending=self._ending,
            now=now,
            done=self._before["done"] + now.done,
            failed=self._before["failed"] + now.failed,
            reason=self._reason,
            results=run.folder / "results.parquet",
            unusable=dict((Counter(run.unusable()) - self._unusable).most_common()),
        )
        if self._job.how.progress is not None:
            self._job.how.progress(now)
        for model, precision in self._job.source.trained.items():
            run.metric("trained", 1, model=model, precision=precision)
        write_parquet(run, report.results)
        complete = "failed" if report.failed else "done"
        run.finish({"done": complete, "interrupted": "interrupted"}.get(self._ending, "stopped"))  # type: ignore[arg-type]
        manifest = {**run.info(), "examples": report.examples, "done": report.done, "failed": report.failed}
        (run.folder / "manifest.json").write_text(cut(json.dumps(manifest, indent=2, ensure_ascii=False)) + "\n")
        return report


async def _finish(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for all workers; if one broke, or we are cancelled, end the others and raise."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
