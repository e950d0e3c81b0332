"""9: an answer that is there and was not found. 17: a model's own words, sent to it again."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agents.agent import Agent, AnswerError
from agents.answers import Misread, answer_format, read
from agents.cot_rec import ShortTermInterest, write_review
from agents.scoter import split_path
from prompts.neutral import neutralise_answer
from whyrec.llm.model import Reply, Request
from whyrec.records import Event, Item

SAID = ["wool", "walks", "winter", "camp", "snow"]
GOOD = json.dumps({"summary": "warm socks for long winter walks", "keywords": SAID})
DRAFT = GOOD.replace("warm", "thin")
SCHEMA = answer_format(ShortTermInterest, "json").schema


@dataclass
class Says:
    """Gives its answers in turn and keeps what it was asked."""

    answers: list[str]
    name: str = "says"
    revision: str = ""
    seen: list[Request] = field(default_factory=list)

    async def complete(self, request: Request) -> list[Reply]:
        self.seen.append(request)
        return [Reply(self.answers.pop(0))]

    async def close(self) -> None:
        pass


def summary(text: str) -> str:
    try:
        return read(ShortTermInterest, "json", text).summary
    except Misread as error:
        return f"not found: {error}"


@pytest.mark.parametrize(
    "text",
    [
        f"I look at {{kind, purpose}} first. {GOOD}",
        f"{SCHEMA}\n\n{GOOD}",
        f'{{"thought": "they like snow"}}\n{GOOD}',
        f"{DRAFT}\nOn second thoughts:\n{GOOD}",
    ],
)
def test_09_the_last_object_that_is_an_answer_is_found(text: str) -> None:
    assert summary(text) == "warm socks for long winter walks"


def test_09_the_example_of_the_prompt_is_not_taken_for_an_answer() -> None:
    example = re.findall(r'\{"text".*\}', write_review.prompt.text)[-1]
    said = json.dumps({"text": "Too warm for me, and wool makes my feet itch.", "stance": -1})
    blanks = {"preference": {"summary": "s", "keywords": ["k"]}, "item": Item(1, "a", "Socks")}
    llm = Says([example, said])
    assert asyncio.run(write_review(llm, **blanks)).text == "Too warm for me, and wool makes my feet itch."


@pytest.mark.parametrize("filler", ["-", " "])
def test_09_a_long_line_is_read_in_time(filler: str) -> None:
    before = time.process_time()
    assert split_path([f"a -> b{filler * 12_000}c"])[0] == "a"
    assert time.process_time() - before < 1


class Thinks(BaseHTTPRequestHandler):
    """A server that puts everything into `reasoning` and leaves `content` null."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": None, "reasoning": f"They like {{warm}} things. {GOOD}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        body = json.dumps({"model": "tiny", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def thinking() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Thinks)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_09_an_answer_given_as_reasoning_is_used_and_the_trace_says_so(
    tmp_path: Path, thinking: str, whyrec: Callable[..., Any]
) -> None:
    home, llm = {"WHYREC_HOME": str(tmp_path / "home")}, f"openai:tiny@{thinking}"
    run = ("run", "cot_rec.preference", "--data", "world:users=2,items=60", "--llm", llm, "--quiet", "--yes")
    assert (done := whyrec(*run, env=home)).code == 0, done
    shown = whyrec("trace", "show", "latest:1", env=home)
    assert "taken from the reasoning" in shown.said and "warm socks" in shown.said, shown


TOKENS = (
    "[|user|]",
    "[UNUSED_TOKEN_146]",
    "]~b]",
    "[e~[",
    "[control_8]",
    "[@BOS@]",
    "］INST［",
    "<|im_start|>",
    "[INST]",
)


def test_17_a_repair_shows_a_model_its_words_without_chat_tokens() -> None:
    said = json.dumps({"summary": " ".join(TOKENS), "keywords": ["one", "two"]}, ensure_ascii=False)
    llm = Says([said, said])
    with pytest.raises(AnswerError):
        asyncio.run(Agent("cot_rec/summarise_batch", ShortTermInterest)(llm, history=[Event(Item(1, "a", "Socks"))]))
    shown = llm.seen[1].messages[-2].content
    assert not [token for token in TOKENS if token in shown], shown
    assert json.loads(shown)["keywords"] == ["one", "two"], "what is no token stays"


def test_17_what_is_no_token_is_not_mutilated() -> None:
    ordinary = '{"a": ["b", [1, 2], [true]], "c": "Search[Grey Harbour], see [17]", "d": []}'
    assert neutralise_answer(ordinary) == ordinary
