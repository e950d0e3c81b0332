"""A script is followed to the letter and says when it has ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whyrec.errors import UsageError
from whyrec.llm.built_in.scripted import Scripted
from whyrec.llm.model import Message, Refused, Request
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings


def ask(text: str, *samples: int) -> Request:
    return Request((Message("user", text),), samples=samples or (0,))


async def test_answers_come_in_turn_and_then_end() -> None:
    model = Scripted(["<think>hm</think>one", {"two": 2}, "three"])
    (first,) = await model.complete(ask("a"))
    assert (first.reasoning, first.text) == ("hm", "one")
    assert [r.text for r in await model.complete(ask("b", 4, 2))] == ['{"two": 2}', "three"]
    with pytest.raises(Refused, match="ended after 3 answers"):
        await model.complete(ask("c"))
    assert [r.messages[0].content for r in model.seen] == ["a", "b", "c"]


async def test_a_function_sees_the_request_and_the_sample() -> None:
    model = Scripted(lambda request, sample: f"{request.messages[-1].content} {sample}")
    assert [r.text for r in await model.complete(ask("x", 1, 5))] == ["x 1", "x 5"]


async def test_a_file_of_rules_and_a_file_of_answers(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps([{"when": "socks", "answer": {"a": 1}}, {"answer": "else"}]))
    model = open_provider(f"scripted:{path}", settings=read_settings())
    assert [(await model.complete(ask(t)))[0].text for t in ("warm socks", "hat", "socks")] == [
        '{"a": 1}',
        "else",
        '{"a": 1}',
    ]
    before = model.revision
    path.write_text('["only"]')
    model = open_provider(f"scripted:{path}", settings=read_settings())
    assert (await model.complete(ask("x")))[0].text == "only" and model.revision != before != ""
    path.write_text('[{"when": "socks", "answer": "x"}]')
    model = open_provider(f"scripted:{path}", settings=read_settings())
    with pytest.raises(Refused, match="No rule"):
        await model.complete(ask("hat"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is not JSON"), ("{}", "holds no answers"), ("[]", "holds no"), ('["a",{"answer":"b"}]', "mixes")],
)
def test_a_file_that_is_no_script(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        open_provider(f"scripted:{path}", settings=read_settings())


def test_a_missing_file(tmp_path: Path) -> None:
    for rest in ("", str(tmp_path), str(tmp_path / "none")):
        with pytest.raises(UsageError, match="There is no script at"):
            open_provider(f"scripted:{rest}", settings=read_settings())
