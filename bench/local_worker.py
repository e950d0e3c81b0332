"""One provider answers the recorded calls, in the tree that this process is started in: `bench.local` starts it.

It is started in today's tree and in an archive of an older one, so it only uses what both have.

    python local_worker.py REQUESTS.json MODEL OUT.json

Writes {load_cpu, cpu, wall, prompt, completion, answers}: CPU seconds of this process (all threads) for opening the
model and for answering, seconds on the clock, tokens, and the answers' texts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any


async def ask(model: Any, warm: Any, requests: list[Any]) -> tuple[list[Any], float, float]:
    """Warm up with one call, then ask all at once, as a run with many users in flight does.

    Returns:
        (the first reply to each request, CPU seconds of this process, seconds on the clock), of the requests alone.
    """
    try:
        await model.complete(warm)
        cpu, wall = time.process_time(), time.perf_counter()
        replies = [many[0] for many in await asyncio.gather(*(model.complete(request) for request in requests))]
        return replies, time.process_time() - cpu, time.perf_counter() - wall
    finally:
        await model.close()


def main(questions: str, name: str, out: str) -> None:
    """Open, ask, write down."""
    sys.path.insert(0, str(Path.cwd()))
    from whyrec.llm.model import AnswerFormat, Message, Request, Sampling
    from whyrec.llm.registry import open_provider
    from whyrec.settings import read_settings

    requests = [
        Request(
            tuple(Message(role, text) for role, text in one["messages"]),
            Sampling(**one["sampling"]),
            format=AnswerFormat(**one["format"]),
        )
        for one in json.loads(Path(questions).read_text())
    ]
    began = time.process_time()
    model = open_provider(name, settings=read_settings())
    loaded = time.process_time()
    short = Request((Message("user", "Say yes."),), Sampling(max_tokens=2))
    replies, cpu, wall = asyncio.run(ask(model, short, requests))
    Path(out).write_text(
        json.dumps(
            {
                "load_cpu": loaded - began,
                "cpu": cpu,
                "wall": wall,
                "prompt": sum(reply.usage.prompt or 0 for reply in replies),
                "completion": sum(reply.usage.completion or 0 for reply in replies),
                "answers": [reply.text for reply in replies],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
