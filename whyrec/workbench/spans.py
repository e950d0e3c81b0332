"""A run as spans: a trace per example, in it a span per node, in these one per call, with OpenInference's names.

Spans come in the order of call numbers: a call's own, and before the first call of an example that of the example and
those of its nodes. So an export goes on from a call's number, and what was sent before is complete. A call's messages
are put together from the prompt's text and its blanks, as `whyrec trace show` does.

Unusual: nodes have no times of their own in the log; a node's span lasts from the first of its calls to the last. A
node that asks nobody has no span.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from whyrec.runs import Result, RunReader
from whyrec.trace import Calls, Wanted
from whyrec.trace.calls import Line
from whyrec.trace.export_spans import Attribute, Span, nanoseconds, span_id, trace_id
from whyrec.workbench.asked import Asked, asked

_TOLD = ("example", "user", "item", "split", "graph", "agent", "prompt", "prompt_digest", "turn", "retry", "sample",
         "finish", "unreadable", "attempts", "cache", "queue_s", "service_s")  # fmt: skip
_MOST = 1_000_000  # calls of one example
_REMEMBERED = 1024  # examples in flight at once
Attributes: TypeAlias = dict[str, Attribute]


@dataclass(frozen=True)
class Exported:
    """The spans that go with one call; before `call` everything has been given."""

    call: int
    spans: tuple[Span, ...]


def resource(run: RunReader) -> dict[str, str]:
    """What all spans of a run have in common."""
    info = run.info()
    return {
        "service.name": "whyrec",
        "service.version": str(info["whyrec"]),
        "openinference.project.name": "whyrec",
        "whyrec.run": run.id,
    }


def spans(run: RunReader, *, after: int = 0) -> Iterator[Exported]:
    """The spans of a run's calls numbered above `after`, in order, and of the examples that begin there.

    Raises:
        UsageError: the run has lost the text of a prompt.
    """
    info = run.info()
    with Calls(run) as log:
        of = lru_cache(maxsize=_REMEMBERED)(lambda key: log.find(Wanted(example=key), limit=_MOST))
        for number in range(after + 1, run.counts().calls + 1):
            found = asked(run, number)
            example = str(found.call["example"])
            lines = of(example) if example else log.find(Wanted(), limit=1, offset=number - 1)
            key = example or f"call/{number}"
            first = _example(run, info, key, lines) if lines[0].id == number else ()
            yield Exported(number, (*first, _call(run, found, key)))


def _example(run: RunReader, info: Mapping[str, Any], key: str, calls: list[Line]) -> tuple[Span, ...]:
    """The span of an example and those of its nodes."""
    result = run.result(key)
    trace, root = trace_id(run.id, key), span_id(run.id, key)
    user = calls[0].user
    told: dict[str, Any] = {"key": key, "user": user, "split": calls[0].split}
    attributes: Attributes = {**_chain(run, user), **_json("input", told), **_outcome(result)}
    attributes["metadata"] = _dumps({name: info[name] for name in ("graph", "data", "model", "git_revision", "whyrec")})
    start, end = _times(calls)
    wrong = ("", "")
    if result is not None and result.status == "failed":
        kind, _, message = result.reason.partition(": ")
        wrong = (kind or "failed", message)
    found = [Span(trace, root, b"", key, start, end, attributes, wrong)]
    nodes: dict[str, list[Line]] = {}
    for call in calls:
        nodes.setdefault(call.node, []).append(call)
    for node, some in nodes.items():
        start, end = _times(some)
        told = {"calls": len(some), "node": node}
        chain: Attributes = {**_chain(run, user), **_json("input", told), "graph.node.id": node}
        found.append(Span(trace, span_id(run.id, key, node), root, node or "(no node)", start, end, chain))
    return tuple(found)


def _call(run: RunReader, found: Asked, key: str) -> Span:
    """The span of one call."""
    call = found.call
    start, end = _span(call["at"], call["queue_s"] + call["service_s"])
    wrong = (call["error_kind"], call["error"]) if call["error_kind"] else ("", "")
    return Span(
        trace_id(run.id, key),
        span_id(run.id, "call", str(call["id"])),
        span_id(run.id, key, call["node"]),
        call["prompt"] or call["agent"] or call["kind"],
        start,
        end,
        _llm(run, found),
        wrong,
    )


def _llm(run: RunReader, found: Asked) -> Attributes:
    call, request = found.call, found.request
    messages = [(m.role, m.content) for m in request.messages]
    if request.prefix:
        messages.append(("assistant", request.prefix))
    sampling = request.sampling
    parameters = {
        "temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop), "seed": sampling.seed,
    }  # fmt: skip
    made: Attributes = {
        "openinference.span.kind": "LLM",
        "llm.model_name": call["answered_by"] or call["model"],
        "llm.invocation_parameters": _dumps(parameters),
        **_tokens(call),
        "session.id": run.id,
        "metadata": _dumps({"call": call["id"], "run": run.id, "model": call["model"], "kind": call["kind"],
                            "as_sent": found.faithful, "verdict": call["verdict"] or "",
                            **{name: call[name] for name in _TOLD}}),
        **_json("input", {"messages": [{"role": role, "content": content} for role, content in messages]}),
    }  # fmt: skip
    if call["user"]:
        made["user.id"] = call["user"]
    if call["cost"] is not None:
        made["llm.cost.total"] = float(call["cost"])
    if found.prompt_text:
        made |= {
            "llm.prompt_template.template": found.prompt_text,
            "llm.prompt_template.version": call["prompt_digest"],
            "llm.prompt_template.variables": call["blanks"],
        }
    for place, (role, content) in enumerate(messages):
        made[f"llm.input_messages.{place}.message.role"] = role
        made[f"llm.input_messages.{place}.message.content"] = content
    if not call["error_kind"]:
        made["output.value"] = call["answer"]
        made["output.mime_type"] = "application/json" if _is_json(call["answer"]) else "text/plain"
        made["llm.output_messages.0.message.role"] = "assistant"
        made["llm.output_messages.0.message.content"] = call["answer"]
        if call["reasoning"]:
            made["llm.output_messages.0.message.reasoning_content"] = call["reasoning"]
    return made


def _tokens(call: Mapping[str, Any]) -> Attributes:
    """Counts of tokens; those that nobody counted are left out, which is how a span says unknown."""
    tokens_in, tokens_out = call["tokens_in"], call["tokens_out"]
    counts = {
        "prompt": tokens_in,
        "completion": tokens_out,
        "total": None if tokens_in is None or tokens_out is None else tokens_in + tokens_out,
        "prompt_details.cache_read": call["tokens_cached"],
    }
    return {f"llm.token_count.{name}": count for name, count in counts.items() if count is not None}


def _chain(run: RunReader, user: str) -> Attributes:
    found: Attributes = {"openinference.span.kind": "CHAIN", "session.id": run.id}
    return {**found, "user.id": user} if user else found


def _outcome(result: Result | None) -> Attributes:
    """What an example came to; nothing where it has not."""
    if result is None or result.payload is None:
        return {}
    return _json("output", result.payload)


def _json(side: str, value: Any) -> Attributes:
    return {f"{side}.value": _dumps(value), f"{side}.mime_type": "application/json"}


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _times(calls: list[Line]) -> tuple[int, int]:
    """From the first question to the last answer, unix nanoseconds."""
    spans = [_span(call.at, call.queue_s + call.service_s) for call in calls]
    return min(start for start, _ in spans), max(end for _, end in spans)


def _span(at: float, seconds: float) -> tuple[int, int]:
    return nanoseconds(at), nanoseconds(at + seconds)
