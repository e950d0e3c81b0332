"""The border to servers: whatever they answer becomes replies, vectors and numbers, or one `Malformed`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from whyrec.llm.capabilities import Capabilities
from whyrec.llm.model import Malformed, Message, ModelError, Overloaded, Refused, Request, ServerFault, Usage
from whyrec.llm.naming.address import parse
from whyrec.llm.naming.keys import Key
from whyrec.llm.providers.openai_errors import error_for
from whyrec.llm.providers.openai_score import score
from whyrec.llm.providers.openai_vectors import read_vectors
from whyrec.llm.providers.openai_wire import RequestWriter, Told, read_chat, read_json
from whyrec.llm.system_text import folded

TOLD = Told("openai:m", 0.1, None)
ASK = Request((Message("system", "Be terse."), Message("user", "Hi")))


def said(text: Any, **fields: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}, **fields}


def read(body: Any, samples: tuple[int, ...] = (0,)) -> list[Any]:
    return read_chat(body, ASK, samples, TOLD)


def test_choices_are_the_samples_that_they_count_as() -> None:
    for choices in ([said("a", index=0), None, said("c", index=2)], [None, said("b", index=1)], [said("a"), said(7)]):
        with pytest.raises(Malformed, match=r"\(None\)|'content': 7"):
            read({"choices": choices}, (5, 6, 7))
    assert [(r.sample, r.text) for r in read({"choices": [said("a"), None]})] == [(0, "a")]  # nobody asked for two
    fewer = {"choices": [said("a", index=0), said("b", index=2)]}
    assert [(r.sample, r.text) for r in read(fewer, (5, 6, 7))] == [(5, "a"), (7, "b")]
    shuffled = {"choices": [said("b", index=1), said("a", index=0)]}
    assert [(r.sample, r.text) for r in read(shuffled, (3, 4))] == [(3, "a"), (4, "b")]
    unnumbered = {"choices": [said("a", index=None), said("b", index="1"), said("c")]}
    assert [(r.sample, r.text) for r in read(unnumbered, (0, 1))] == [(0, "a"), (1, "b")]
    same = {"choices": [said("a", index=0), said("b", index=0)]}
    assert [(r.sample, r.text) for r in read(same, (0, 1))] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    "body",
    [
        *(
            {},
            {"choices": None},
            {"choices": []},
            {"choices": {}},
            {"choices": [None, None]},
            {"choices": ["x"]},
            [],
            None,
        ),
        *({"choices": [{"message": None}]}, {"choices": [said(7)]}, {"choices": [said({"a": 1})]}),
        {"error": {"message": ["deep"]}, "choices": [said("x")]},
        {"error": "bad", "choices": [said("x")]},
    ],
)
def test_what_is_no_answer_is_one_lasting_fault(body: Any) -> None:
    with pytest.raises(Malformed) as caught:
        read(body)
    assert caught.value.lasting and caught.value.paid and str(caught.value).startswith("openai:m answered")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 4, "completion_tokens": 2}, Usage(4, 2, None)),
        (
            {"prompt_tokens": 4, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}},
            Usage(4, 2, 3),
        ),
        ("none", Usage(None, None, None)),
        ([1], Usage(None, None, None)),
        ({"prompt_tokens": "4", "completion_tokens": True, "prompt_tokens_details": "x"}, Usage(None, None, None)),
        ({"prompt_tokens": -4, "completion_tokens": 10**15}, Usage(None, None, None)),
        ({"prompt_tokens": 4, "completion_tokens": float("nan")}, Usage(4, None, None)),
    ],
)
def test_tokens_that_cannot_be_true_are_unknown(usage: Any, expected: Usage) -> None:
    assert read({"choices": [said("x")], "usage": usage})[0].usage == expected
    both = read({"choices": [said("x"), said("y")], "usage": usage}, (0, 1))
    assert all(reply.usage.known for reply in both) == expected.known


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": None, "reasoning": '{"a": 1}'}, "", '{"a": 1}'),
        ({"content": "x", "reasoning_content": "hm"}, "x", "hm"),
        ({"content": [{"type": "text", "text": "a"}, {"text": "b"}, "c", None, {"type": "image_url"}]}, "abc", ""),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "x"}]}, "x", "hm"),
        ({"content": "x", "reasoning": {"odd": 1}, "refusal": 7}, "x", ""),
    ],
)
def test_text_and_reasoning_are_handed_on_however_they_come(message: Any, text: str, reasoning: str) -> None:
    (reply,) = read({"choices": [{"message": message, "finish_reason": ["stop"], "index": None}], "model": ["m"]})
    assert (reply.text, reply.reasoning, reply.model, reply.finish_reason) == (text, reasoning, "", "stop")


def test_log_probabilities_are_those_of_every_token_or_of_none() -> None:
    good = {"token": "A", "logprob": 0, "top_logprobs": [{"token": "A", "logprob": 0}, {"token": None}, 3]}
    low = {"token": "B", "logprob": float("-inf"), "top_logprobs": None}
    (reply,) = read({"choices": [said("x", logprobs={"content": [good, low]})]})
    assert [(one.token, one.logprob, one.top) for one in reply.logprobs] == [("A", 0, (("A", 0),)), ("B", -9999, ())]
    for bad in (None, {}, {"token": "A", "logprob": None}, {"token": "A", "logprob": float("nan")}, {"token": 1}):
        for content in ([bad, good], [good, bad]):
            assert read({"choices": [said("x", logprobs={"content": content})]})[0].logprobs == ()
    for shown in ("x", [1], {"content": "x"}, {"content": None}):
        assert read({"choices": [said("x", logprobs=shown)]})[0].logprobs == ()


def test_a_body_with_half_a_character_or_a_nan_is_read() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": "\\ud83d", "\\ud800": NaN}', "m")["a"] == "\ufffd"
    assert read_json(b'{"a": "\xed\xa0\xbd"}', "m")["a"].strip("\ufffd") == ""
    assert read_json(b'{"a": "\\ud83d\\ude00"}', "m") == {"a": "\U0001f600"}


@pytest.mark.parametrize(
    ("raw", "lasting", "words"),
    [
        (b"", False, "no JSON object"),
        (b'{"choices": [', False, "no JSON object"),
        (b"<html>", False, "no JSON object"),
        (b"[" * 100_000, False, "no JSON object"),
        (b'{"a": ' + b"9" * 5_000 + b'NaN"}', False, "no JSON object"),
        (b"null", True, "no JSON object"),
        (b"data: {}\n\n", True, "stream"),
    ],
)
def test_a_body_that_is_no_answer_may_be_one_next_time_or_not(raw: bytes, lasting: bool, words: str) -> None:
    with pytest.raises(Malformed, match=words) as caught:
        read_json(raw, "m")
    assert caught.value.lasting is lasting and isinstance(caught.value, ServerFault)


@pytest.mark.parametrize(
    "data",
    [
        *(
            [],
            [{}],
            [{"embedding": []}],
            [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}],
            [None, {"embedding": [1.0]}],
        ),
        *([{"embedding": [1.0]}] * 3, [{"embedding": ["1"]}] * 2, [{"embedding": [True]}] * 2),
        *([{"embedding": [1e300]}] * 2, [{"embedding": [float("nan")]}] * 2, [{"embedding": [10**400]}] * 2, "x", None),
    ],
)
def test_vectors_that_are_none_are_one_fault(data: Any) -> None:
    with pytest.raises(Malformed):
        read_vectors({"data": data}, 2, "m")


def test_vectors_stand_where_their_texts_stood() -> None:
    rows = [{"index": 1, "embedding": [2, 0]}, {"index": 0, "embedding": [1, 0]}]
    assert read_vectors({"data": rows}, 2, "m").tolist() == [[1, 0], [2, 0]]
    bare = [{"embedding": row["embedding"]} for row in rows]
    assert read_vectors({"data": bare}, 2, "m").tolist() == [[2, 0], [1, 0]]
    assert read_vectors({"data": [{"embedding": "AACAPwAAAEA="}]}, 1, "m").tolist() == [[1, 2]]


class Server:
    """A client whose server answers each path the same."""

    def __init__(self, can: Capabilities, **answers: Any) -> None:
        self.name, self.can, self.answers = "openai:m", can, answers
        self.address = parse("openai", "m@http://127.0.0.1:1/v1", "")
        self.posted: list[Any] = []

    async def post(self, path: str, body: bytes) -> Any:
        self.posted.append(json.loads(body))
        return self.answers[path.strip("/")]


ENTRY = {"5": {"logprob": -1.0}}


@pytest.mark.parametrize(
    ("tokenized", "completed"),
    [
        ({"tokens": None}, {}),
        ({"tokens": ["5"]}, {}),
        ({"tokens": [-5]}, {}),
        ({"tokens": [5]}, {"choices": None}),
        ({"tokens": [5]}, {"choices": [None]}),
        ({"tokens": [5]}, {"choices": [{"prompt_logprobs": None}]}),
        ({"tokens": [5]}, {"choices": [{"prompt_logprobs": [None, None]}]}),
        ({"tokens": [5]}, {"choices": [{"prompt_logprobs": [None, {"5": {"logprob": None}}]}]}),
        ({"tokens": [5]}, {"choices": [{"prompt_logprobs": [None, {"6": {"logprob": -1.0}}]}]}),
        ({"tokens": [5]}, {"choices": [{"prompt_logprobs": [None, ENTRY, ENTRY]}]}),
    ],
)
async def test_scores_that_are_none_are_one_fault(tokenized: Any, completed: Any) -> None:
    with pytest.raises(Malformed):
        await score(Server(Capabilities(score="tokens"), tokenize=tokenized, completions=completed), ASK, ["x"])


async def test_scores_are_read_and_asked_for_as_questions_are() -> None:
    answer = {"choices": [{"index": None, "prompt_logprobs": [None, ENTRY]}]}
    server = Server(Capabilities(score="tokens", system="user"), tokenize={"tokens": [5]}, completions=answer)
    assert [one.logprobs for one in await score(server, ASK, ["x"])] == [(-1.0,)]
    assert server.posted[0]["messages"] == [{"role": "user", "content": "Be terse.\n\nHi"}]


@pytest.mark.parametrize(
    "shown",
    [
        None,
        {"tokens": ["Hi"], "token_logprobs": [], "text_offset": [0]},
        {"tokens": [1], "token_logprobs": [-1.0], "text_offset": [0]},
        {"tokens": ["x"], "token_logprobs": [-1.0], "text_offset": [None]},
        {"tokens": ["x"], "token_logprobs": [None], "text_offset": [15]},
    ],
)
async def test_echoes_that_are_none_are_one_fault(shown: Any) -> None:
    server = Server(Capabilities(score="echo"), completions={"choices": [{"logprobs": shown}]})
    with pytest.raises(Malformed):
        await score(server, ASK, ["x"])


def complaint(body: Any, status: int = 400, name: str = "m@http://127.0.0.1:1/v1", folds: bool = False) -> ModelError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_for(status, {}, raw, parse("openai", name, ""), key=Key(), folds=folds)


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model."}}, "max_compl"),
        ({"error": {"message": "Unrecognized request argument supplied: max_completion_tokens"}}, "=max_tokens "),
        ({"error": {"message": "max_tokens is too large: 9", "param": "max_tokens"}}, 'lower it with ?extra={"max_tok'),
        ({"error": {"message": "'n' is not supported by this model"}}, "?n=no"),
        ({"error": {"message": "Unsupported value: 'temperature' does not support 0.0"}}, "?drop=temperature"),
        ({"error": {"message": "Argument not supported on this model: stop", "param": "stop"}}, "?drop=stop"),
        ({"error": {"message": "property 'logprobs' is unsupported"}}, "?logprobs=0"),
        ({"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]}, "?drop=top_k"),
        ({"message": {"detail": [{"loc": ["body", "seed"], "msg": "not permitted"}]}}, "?drop=seed"),
        ({"message": "[{'type': 'extra_forbidden', 'loc': ('body', 'min_p'), 'msg': '...'}]"}, "?drop=min_p"),
        ({"error": "'response_format.type' must be 'json_schema' or 'text'"}, "?schema=none"),
        ({"error": {"message": "Developer instruction is not enabled for models/gemma-3"}}, "?system=user"),
        ({"error": {"message": "'messages[0].role' does not support 'system' with this model"}}, "?system=user"),
    ],
)
def test_a_refusal_knows_the_option(body: Any, advice: str) -> None:
    error = complaint(body)
    assert isinstance(error, Refused) and advice in str(error) and "drop=max" not in str(error), str(error)


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "user"], "msg": "Field required"}]},
        {"error": {"message": "This model's maximum context length is 4096 tokens.", "param": "messages"}},
        {"error": {"message": "bad schema"}},
        {"detail": []},
        {"detail": [None]},
        {"error": [1], "detail": 3},
        b"[" * 5_000,
    ],
)
def test_a_refusal_of_something_else_advises_to_drop_nothing(body: Any) -> None:
    assert "add ?" not in str(complaint(body)) and "with status 400" in str(complaint(body))


def test_a_page_and_a_missing_path_ask_for_v1_only_where_it_is_missing() -> None:
    page = b"<html><style>b{}</style><h1>502 Bad Gateway</h1></html>"
    for body, status in ((page, 403), (page, 502), (b"Not Found", 404), (b"", 405)):
        assert "add /v1, as in http://127.0.0.1:1/v1." in str(complaint(body, status, "m@http://127.0.0.1:1"))
        assert "add /v1" not in str(complaint(body, status))
    assert "failed with status 502: 502 Bad Gateway." in str(complaint(page, 502))


def test_a_system_role_is_not_blamed_where_none_was_sent() -> None:
    assert "system=user" not in str(complaint({"error": "System role not supported"}, folds=True))
    assert isinstance(complaint({"error": {"code": "429", "message": "slow"}}, 200), Overloaded)


def test_system_text_leads_the_question_it_is_for() -> None:
    system, user, reply = Message("system", "S"), Message("user", "U"), Message("assistant", "A")
    assert folded((user, reply)) == (user, reply)
    assert folded((system, user, reply, user)) == (Message("user", "S\n\nU"), reply, user)
    assert folded((system, system, reply)) == (Message("user", "S\n\nS"), reply)
    assert folded((user, system)) == (user, Message("user", "S"))


def test_the_limit_in_extra_is_called_as_the_server_calls_it() -> None:
    address = parse("openai", 'm@http://127.0.0.1:1/v1?extra={"max_tokens":9}&max_tokens=max_completion_tokens', "")
    body = json.loads(RequestWriter(address, address.capabilities(Capabilities())).chat(ASK, n=1, first=0))
    assert body["max_completion_tokens"] == 9 and "max_tokens" not in body
