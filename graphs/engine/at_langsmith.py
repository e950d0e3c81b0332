"""What LangSmith sees of model calls, where somebody asked for it: a run of type `llm` below the node that asks.

LangGraph tells LangSmith of graphs and nodes; models here are no LangChain objects, so nobody would tell it of
messages, answers and tokens. What is said is what a run's own trace says (docs/traces.md), without secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langsmith.run_helpers import trace

from whyrec.llm.model import LanguageModel, Reply, Request, TokenScores
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.redaction import KNOWN, redact
from whyrec.redaction.telemetry import langsmith_asked


def shown_if_asked(llm: LanguageModel) -> LanguageModel:
    """The model, its calls shown at LangSmith where somebody asked for that."""
    return AtLangSmith(llm) if langsmith_asked() else llm


class AtLangSmith(Wrapper):
    """Tells LangSmith of each request, its answers (or its error) and what they took."""

    async def complete(self, request: Request) -> list[Reply]:
        """Answer, as seen by LangSmith."""
        async with self._trace(request, {}) as run:
            replies = await self.inner.complete(request)
            said = [{"role": "assistant", "content": reply.text} for reply in replies]
            run.end(outputs=KNOWN.cut_in({"messages": said, "usage_metadata": _usage(replies)}))
            run.add_metadata({"cache": [reply.cache for reply in replies]})
            return replies

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        async with self._trace(request, {"continuations": list(continuations)}) as run:
            scores = await self._inner_score(request, continuations)
            run.end(outputs={"log_likelihoods": [one.total for one in scores]})
            return scores

    def _trace(self, request: Request, more: Mapping[str, Any]) -> trace:
        about, sampling, model = request.about, request.sampling, redact(self.name)
        messages = [{"role": one.role, "content": one.content} for one in request.messages]
        if request.prefix:
            messages.append({"role": "assistant", "content": request.prefix})
        return trace(
            about.prompt or about.agent or "model",
            run_type="llm",
            inputs=KNOWN.cut_in({"messages": messages, **more}),
            metadata={
                "ls_model_type": "chat",
                "ls_model_name": model,
                "ls_temperature": sampling.temperature,
                "ls_max_tokens": sampling.max_tokens,
                "samples": len(request.samples),
                "example": about.example,
                "prompt_digest": about.prompt_digest,
            },
        )


def _usage(replies: Sequence[Reply]) -> dict[str, int]:
    """Tokens as LangSmith counts them; nothing where the server did not count."""
    if not all(reply.usage.known for reply in replies):
        return {}
    prompt = sum(reply.usage.prompt or 0 for reply in replies)
    answer = sum(reply.usage.completion or 0 for reply in replies)
    return {"input_tokens": prompt, "output_tokens": answer, "total_tokens": prompt + answer}
