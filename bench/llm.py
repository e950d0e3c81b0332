"""CPU time of a language-model call inside a graph: ours with everything on, LangChain's, and bare aiohttp.

One process asks, another serves, and only the asking one's CPU time counts (threads included), so a busy machine does
not matter much. All variants run the same 3-node graph over the same users, 256 graphs at once, with the same rendered
prompts and a schema on every call: summarise a batch, merge, review an item. Each number is the median of nine
repetitions, the variants taking turns; every repetition has an empty cache. All run in the event loop and under the
garbage collector settings that `whyrec run` uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents import cot_rec
from agents.agent import Agent
from graphs.engine.garbage import collect_seldom
from whyrec.data import SplitView
from whyrec.data.generated import world
from whyrec.llm import Budget, Limits, open_provider, wrap
from whyrec.llm.model import About, LanguageModel, Request
from whyrec.records import Example, Item
from whyrec.runs import Identity, Run
from whyrec.settings import Settings

GRAPHS, AT_ONCE, REPEATS, NODES = 300, 256, 9, 3
CACHED_CALLS = 1000
SERVER = Path(__file__).resolve().parents[1] / "tests" / "servers" / "openai_like.py"

Ask = Callable[..., Awaitable[Any]]
"""ask(agent, about, **blanks) -> the answer, by one variant."""


@dataclass(frozen=True)
class Reach:
    """What the graph may reach: how to ask."""

    ask: Ask


@dataclass(frozen=True)
class State:
    example: Example
    item: Item
    short: Any = None
    long: Any = None
    review: Any = None


class Update(TypedDict, total=False):
    short: Any
    long: Any
    review: Any


def _about(state: State, node: str) -> About:
    e = state.example
    return About(graph="bench", node=node, example=e.key, user=e.user, split=e.split)


async def summarise(state: State, runtime: Runtime[Reach]) -> Update:
    history = state.example.history[-10:]
    return {"short": await runtime.context.ask(cot_rec.summarise_batch, _about(state, "summarise"), history=history)}


async def merge(state: State, runtime: Runtime[Reach]) -> Update:
    about = _about(state, "merge")
    return {"long": await runtime.context.ask(cot_rec.merge_preference, about, long=state.short, short=state.short)}


async def review(state: State, runtime: Runtime[Reach]) -> Update:
    about = _about(state, "review")
    return {"review": await runtime.context.ask(cot_rec.write_review, about, preference=state.long, item=state.item)}


def build() -> Any:
    graph = StateGraph(State, context_schema=Reach)
    for node in (summarise, merge, review):
        graph.add_node(node.__name__, node)
    for a, b in ((START, "summarise"), ("summarise", "merge"), ("merge", "review"), ("review", END)):
        graph.add_edge(a, b)
    return graph.compile()


async def drive(graph: Any, states: list[State], ask: Ask) -> float:
    """CPU milliseconds per call of all states, `AT_ONCE` graphs at a time."""
    reach, feed = Reach(ask), iter(states)

    async def work() -> None:
        for state in feed:
            await graph.ainvoke(state, {"recursion_limit": 10}, context=reach)

    gc.collect()
    with collect_seldom():
        began = time.process_time()
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        spent = time.process_time() - began
    return spent * 1000 / (len(states) * NODES)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """A loopback server in a process of its own; its base URL."""
    command = [sys.executable, str(SERVER), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, "the server prints its URL"
        yield found[0]
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def ours(url: str, home: Path, *, traced: bool) -> Any:
    """Our model with everything on; with its run if traced."""
    settings = Settings(home=home)
    run = Run.open(home, Identity("bench", "world", "0", "tiny")) if traced else None
    model = open_provider(f"openai:tiny@{url}", settings=settings)
    llm = wrap(
        model,
        settings=settings,
        run=run,
        budget=Budget(calls=10**9),
        limits=Limits(requests_per_minute=1e9, tokens_per_minute=1e12, concurrency=1024),
    )
    try:
        yield llm, run
    finally:
        await llm.close()
        if run is not None:
            run.close()


def asker(llm: LanguageModel) -> Ask:
    """Ours."""

    async def ask(agent: Agent[Any], about: About, **blanks: Any) -> Any:
        return await agent(llm, about=about, **blanks)

    return ask


def langchain_asker(url: str) -> Ask:
    """LangChain's, as its documentation says: ChatOpenAI with_structured_output over the answer type."""
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="tiny", base_url=url, api_key="none", temperature=0.0, max_tokens=700, max_retries=2)
    kept: dict[str, Any] = {}

    async def ask(agent: Agent[Any], about: About, **blanks: Any) -> Any:
        model = kept.get(agent.prompt_name)
        if model is None:
            model = kept[agent.prompt_name] = chat.with_structured_output(agent.answer, method="json_schema")
        return await model.ainvoke([(m.role, m.content) for m in agent.prompt.render(**blanks)])

    return ask


def bare_asker(session: aiohttp.ClientSession, url: str) -> Ask:
    """The least anybody can do: render, POST, read the JSON; nothing checked, kept or limited."""

    async def ask(agent: Agent[Any], about: About, **blanks: Any) -> Any:
        body = {
            "model": "tiny",
            "messages": [{"role": m.role, "content": m.content} for m in agent.prompt.render(**blanks)],
            "temperature": 0.0,
            "max_tokens": 700,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": agent.format.name, "schema": json.loads(agent.format.schema)},
            },
        }
        async with session.post(f"{url}/chat/completions", json=body) as response:
            answer = json.loads((await response.json())["choices"][0]["message"]["content"])
        return answer

    return ask


async def cached_ms(llm: LanguageModel, request: Request) -> float:
    """CPU milliseconds of a call that the cache answers, through the whole stack, 256 at once."""
    requests = [replace(request, samples=(i,)) for i in range(CACHED_CALLS)]

    async def all_of_them() -> None:
        feed = iter(requests)

        async def work() -> None:
            for one in feed:
                await llm.complete(one)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    await all_of_them()
    gc.collect()
    with collect_seldom():
        began = time.process_time()
        await all_of_them()
        return (time.process_time() - began) * 1000 / CACHED_CALLS


async def repetitions(url: str) -> dict[str, list[float]]:
    """All variants, taking turns."""
    made = world.make(users=GRAPHS, items=200)
    view = SplitView(made.corpus, "test")
    states = [State(view.example(int(u)), made.corpus.item(1 + int(u) % 200)) for u in view.users]
    graph = build()
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    langchain = langchain_asker(url)
    for repeat in range(-1, REPEATS):  # the first is for warming up
        with tempfile.TemporaryDirectory() as home:
            async with ours(url, Path(home), traced=True) as (llm, run):
                with_trace = await drive(graph, states, asker(llm))
            size = sum(f.stat().st_size for f in run.folder.iterdir())
            async with ours(url, Path(home) / "plain", traced=False) as (llm, _):
                without = await drive(graph, states, asker(llm))
            async with ours(url, Path(home) / "cached", traced=False) as (llm, _):
                blanks = {"history": states[0].example.history}
                hit = await cached_ms(llm, cot_rec.summarise_batch.request(1, About(), blanks))
        through_langchain = await drive(graph, states, langchain)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1024)) as session:
            bare = await drive(graph, states, bare_asker(session, url))
        if repeat < 0:
            continue
        note("ours", with_trace)
        note("plain", without)
        note("cached", hit)
        note("langchain", through_langchain)
        note("bare", bare)
        note("bytes", size / (len(states) * NODES))
    return found


def measure() -> dict[str, dict[str, Any]]:
    """Rows for `make bench`: {name: {value, unit, bound, holds}}."""
    try:
        import uvloop

        factory: Any = uvloop.new_event_loop
    except ImportError:
        factory = None
    with serving() as url, asyncio.Runner(loop_factory=factory) as runner:
        found = runner.run(repetitions(url))
    middle = {name: statistics.median(values) for name, values in found.items()}

    def ratio(one: str, other: str, less: str = "") -> float:
        """The median of a repetition's ratio; both were measured in turns."""
        pairs = zip(found[one], found[less] if less else [0.0] * REPEATS, found[other], strict=True)
        return statistics.median((a - b) / c for a, b, c in pairs)

    def row(value: float, unit: str, most: float | None = None) -> dict[str, Any]:
        bound = "" if most is None else f"<= {most:.3g}"
        return {"value": value, "unit": unit, "bound": bound, "holds": None if most is None else value <= most}

    return {
        "llm call in a 3-node graph, everything on": row(middle["ours"], "CPU ms"),
        "bare aiohttp in the same graph": row(middle["bare"], "CPU ms"),
        "LangChain ChatOpenAI in the same graph": row(middle["langchain"], "CPU ms"),
        "llm call, ratio to bare aiohttp": row(ratio("ours", "bare"), "x", 1.8),
        "llm call, ratio to LangChain ChatOpenAI": row(ratio("ours", "langchain"), "x", 1 / 5),
        "tracing, share of a call": row(ratio("ours", "ours", less="plain"), "x", 0.18),
        "llm call from the cache, share of a call": row(ratio("cached", "ours"), "x", 0.06),
        "tracing, stored per call": row(middle["bytes"], "bytes", 2000),
    }
