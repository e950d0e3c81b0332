"""What really works on a server: every ability is asked for, and the answer is looked at, not the status code.

Servers say 200 and ignore you (design section 5), so each probe is a question whose answer shows whether the ability
was there: a poem is asked for under a schema that allows only one word, three samples are counted, a seed must repeat.
What `check_server` finds is a `Capabilities`, which `whyrec llm check` keeps and the client reads.

Unusual: the probes hold for a model with random weights too (a tiny model behind a real vLLM in tests), so where an
answer's sense would be needed, the count of prompt tokens decides instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from whyrec.llm.capabilities import Capabilities
from whyrec.llm.providers.openai import OpenAICompatible
from whyrec.llm.servers.checking.asking import Asker
from whyrec.llm.servers.checking.context import context
from whyrec.llm.servers.checking.continuing import continuing
from whyrec.llm.servers.checking.drawing import logprobs, score, seed, several
from whyrec.llm.servers.checking.embeddings import embeddings
from whyrec.llm.servers.checking.finding import Finding
from whyrec.llm.servers.checking.shapes import choice, schema
from whyrec.llm.servers.checking.system import system
from whyrec.llm.servers.checking.thinking import thinking

_PROBES: tuple[Callable[[Asker], Awaitable[Finding]], ...] = (
    *(system, schema, choice, several, seed, logprobs, continuing, thinking, score, embeddings, context),
)


async def check_server(model: OpenAICompatible) -> tuple[Capabilities, list[Finding]]:
    """Probe a server with some thirty-five short requests, few of them longer than 16 tokens.

    Raises:
        ModelError: it does not answer the simplest question.
    """
    asker = Asker(model)
    findings = [await asker.chat()]
    findings += [await probe(asker) for probe in _PROBES]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(asker.found, checked=now), findings
