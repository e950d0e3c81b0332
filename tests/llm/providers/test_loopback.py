"""The loopback server on its own: other tests trust its log."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from whyrec.llm.model import Disconnected, Message, Request, TimedOut
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings

SERVER = Path(__file__).resolve().parents[2] / "servers" / "openai_like.py"


def ask(number: int) -> Request:
    return Request((Message("user", f"Question {number}"),))


async def test_its_log_tells_what_was_asked_and_what_was_delivered(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    command = [sys.executable, str(SERVER), "--port", "0", "--latency", "0.2", "--log", str(log)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        url = (await process.stdout.readline()).decode().strip()
        model = open_provider(f"vllm:tiny@{url}", settings=read_settings())
        await asyncio.gather(*[model.complete(ask(n)) for n in range(3)])
        gone = asyncio.create_task(model.complete(ask(9)))
        await asyncio.sleep(0.1)
        await model.close()  # as if the client had died in flight
        with pytest.raises((Disconnected, TimedOut, RuntimeError)):
            await gone
        await asyncio.sleep(0.4)
    finally:
        process.terminate()
        await process.wait()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    asked = [line["digest"] for line in lines if line["event"] == "asked"]
    delivered = [line["digest"] for line in lines if line["event"] == "delivered"]
    assert len(set(asked)) == 4 and sorted(delivered) == sorted(asked[:3])


def test_a_dead_server_is_one_sentence_and_exit_code_2(unused_tcp_port: int) -> None:
    command = [sys.executable, "-m", "whyrec", "llm", "check", f"vllm:tiny@http://127.0.0.1:{unused_tcp_port}/v1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("whyrec: Nothing answers at") and done.stderr.count("\n") == 1
