"""A causal language model in this process: a `LanguageModel` and a `Scorer` over the scheduler's rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from whyrec.llm.labels import choices_of
from whyrec.llm.model import Refused, Reply, Request, TokenScores, Usage
from whyrec.llm.providers.decoding.choosing import Chooser
from whyrec.llm.providers.decoding.grammar import Grammars
from whyrec.llm.providers.decoding.packed import packed
from whyrec.llm.providers.decoding.rendering import Rendering
from whyrec.llm.providers.decoding.rows import Call, Reading, Row, Writing
from whyrec.llm.providers.decoding.scheduler import Scheduler
from whyrec.llm.providers.decoding.single import Single
from whyrec.llm.providers.decoding.stopping import Stops
from whyrec.llm.reasoning import split_reasoning


@dataclass(frozen=True)
class How:
    """How a local model answers.

    Attributes:
        batch: rows under way at once.
        grammar: whether JSON answers are held to their schema: "on", "off", or "auto", which is on where that can be.
        template_options: further arguments of the chat template.
    """

    batch: int = 64
    grammar: str = "off"
    template_options: dict[str, Any] = field(default_factory=dict)


class LocalModel:
    """Weights and a tokenizer that answer.

    Args:
        model, tokenizer: as transformers loads them; the tokenizer needs a chat template.
        name: the string that opens it again.
        revision: what changes when its answers may.
        how: see `How`.

    Raises:
        UsageError: no chat template, or a grammar is asked for and cannot be had.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, revision: str = "", how: How | None = None) -> None:
        how = how or How()
        self.name, self.revision = name, revision
        self._rendering = Rendering(tokenizer, name=name, options=how.template_options)
        self.system_way = self._rendering.system_way
        model = model.eval()
        self._context: int = getattr(model.config, "max_position_embeddings", None) or 1 << 30
        stops = model.generation_config.eos_token_id if model.generation_config else None
        self._ends = frozenset({tokenizer.eos_token_id, *(stops if isinstance(stops, list) else [stops])} - {None})
        self._grammars: Grammars | None = None
        if how.grammar != "off":
            size = model.get_output_embeddings().weight.shape[0]
            self._grammars = Grammars(tokenizer, size, self._ends, name=name, needed=how.grammar == "on")
        way = packed(model, self._rendering.ids("A sentence to try out how this model reads.")) or Single(model)
        self._scheduler = Scheduler(way, Chooser(self._rendering.token), name=name, most=how.batch)

    async def complete(self, request: Request) -> list[Reply]:
        """One reply per sample index, in the order asked.

        Raises:
            Refused: the prompt leaves no room for an answer, or the template does not take it.
            ModelError: the network broke over it.
        """
        ids, text = self._rendering.prompt(request)
        if len(ids) >= self._context:
            raise Refused(
                f"{self.name} reads at most {self._context} tokens and the prompt has {len(ids)}: show less in it."
            )
        call = Call(len(request.samples), len(ids))
        rows = [self._writing(request, sample, ids, text, call) for sample in request.samples]
        start = time.perf_counter()
        await self._all(rows)
        seconds = time.perf_counter() - start
        return [self._reply(row, first=row is rows[0], seconds=seconds) for row in rows]

    async def score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """Log-likelihood of each continuation after the prompt (and prefix), from float32 logits.

        Raises:
            Refused: there is more to read than the model can.
            ModelError: the network broke over it.
        """
        ids, text = self._rendering.prompt(request)
        tails = [tuple(self._rendering.tail(ids, text, continuation)) for continuation in continuations]
        too_long = max((len(tail) for tail in tails), default=0) + len(ids) - self._context
        if too_long > 0:
            raise Refused(f"{self.name} reads at most {self._context} tokens; this is {too_long} more to score.")
        alike: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for tail in dict.fromkeys(tail for tail in tails if tail):
            alike.setdefault(tail[:-1], []).append(tail)  # what comes last is only looked up, not read
        call = Call(len(alike), len(ids) - 1)
        rows = [Reading([*ids, *read], call, 1 + len(read), tails=ends) for read, ends in alike.items()]
        await self._all(rows)
        found: dict[tuple[int, ...], tuple[float, ...]] = {(): ()}
        for row in rows:
            found.update(zip(row.tails, row.found, strict=True))
        return [TokenScores(text, found[tail]) for text, tail in zip(continuations, tails, strict=True)]

    async def _all(self, rows: Sequence[Row]) -> None:
        """Wait for the rows; they are given up when this is cancelled, or when one of them fails."""
        self._scheduler.add(rows)
        try:
            await asyncio.gather(*(asyncio.wrap_future(row.done) for row in rows))
        finally:
            for row in rows:
                row.done.cancel()

    def _writing(self, request: Request, sample: int, ids: list[int], text: str, call: Call) -> Writing:
        choices = choices_of(request.format)
        ends = sorted(self._ends)[:1]
        grammar = None
        if self._grammars is not None and request.format.kind == "json" and request.format.schema:
            grammar = self._grammars.of(request.format.schema, text, request.prefix)
        stop = request.sampling.stop
        return Writing(
            ids,
            call,
            request=request,
            sample=sample,
            limit=min(request.sampling.max_tokens, self._context - len(ids)),
            ends=self._ends,
            allowed=[(*self._rendering.tail(ids, text, choice), *ends) for choice in choices],
            grammar=grammar,
            stops=Stops(stop, self._rendering.text) if stop else None,
        )

    def _reply(self, row: Writing, *, first: bool, seconds: float) -> Reply:
        said = [token for token in row.said if token not in self._ends]
        text = self._rendering.text(said)
        for stop in row.request.sampling.stop:
            text = text.partition(stop)[0]
        reasoning, answer = split_reasoning(text, prefix=row.request.prefix)
        return Reply(
            text=answer,
            reasoning=reasoning,
            sample=row.sample,
            usage=Usage(len(row.ids), len(row.said), row.shared) if first else Usage(0, len(row.said)),
            finish_reason=row.finish or "stop",
            logprobs=tuple(row.logprobs),
            model=self.name,
            service_s=seconds,
        )

    async def close(self) -> None:
        """Give back the thread and what was read; the weights go with the object."""
        await asyncio.to_thread(self._scheduler.close)
