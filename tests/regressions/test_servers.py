"""What servers answer that no protocol says: one example at most, a sentence that says what to do, no budget passed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from whyrec.embed import open_embedder
from whyrec.errors import UsageError
from whyrec.llm.model import Message, ModelError, Request
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings

ASK = Request((Message("system", "You are terse."), Message("user", "Say something.")))
JOB = ("run", "cot_rec.preference", "--data", "world:users=200,items=200", "--yes", "--quiet")


@pytest.fixture
def played(hostile: ModuleType) -> Iterator[Callable[..., Any]]:
    """Starts a hostile server that plays given habits, all of them if none are given."""
    servers: list[Any] = []

    def start(*names: str) -> Any:
        habits = {name: hostile.HABITS[name] for name in names or hostile.HABITS}
        servers.append(hostile.Hostile(habits=habits))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def canned(hostile: ModuleType) -> Iterator[Callable[..., Any]]:
    """Starts a server that answers everything the same."""
    servers: list[Any] = []

    def start(body: Any, **fields: Any) -> Any:
        servers.append(hostile.Canned(body, **fields))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(name: str) -> Any:
    """What a model replies, or the error; a foreign exception is one, too."""

    async def ask() -> Any:
        model = open_provider(name, settings=read_settings())
        try:
            (reply,) = await model.complete(ASK)
            return reply
        except Exception as error:
            return error
        finally:
            await model.close()

    return asyncio.run(ask())


def embedded(server: Any) -> Any:
    """The vector of a text, or the error."""
    try:
        return open_embedder(f"openai:m@{server.url}").embed(["a"]).tolist()
    except Exception as error:
        return error


def rows(tmp_path: Path, query: str) -> list[tuple[Any, ...]]:
    """Of the one run."""
    (file,) = (tmp_path / "home" / "runs").glob("*/run.sqlite")
    with closing(sqlite3.connect(file)) as run:
        return run.execute(query).fetchall()


def test_08_every_bad_habit_in_turn_ends_with_counts_that_add_up(
    whyrec: Any, played: Any, hostile: ModuleType, tmp_path: Path
) -> None:
    server = played()
    done = whyrec(*JOB, "--llm", f"openai:tiny@{server.url}", "--budget-tokens", "5000000", seconds=300)
    assert done.code == 1 and "Traceback" not in done.said, done.said[-800:]
    assert set(server.played) == set(hostile.HABITS)
    counts = dict(rows(tmp_path, "SELECT status,count(*) FROM example GROUP BY status"))
    assert sum(counts.values()) == 200 and f"{counts['done']} done + {counts['failed']} failed + 0 left" in done.said
    assert rows(tmp_path, "SELECT count(*),sum(attempts) FROM call") == [(sum(server.played.values()),) * 2]
    errors = sum(server.played[name] for name, one in hostile.HABITS.items() if one.comes == "fails")
    errors -= server.played["thinking cut"]  # an answer came: it is the agent that cannot use it
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE error_kind<>''") == [(errors,)]
    reasons = [reason for (reason,) in rows(tmp_path, "SELECT reason FROM example WHERE status='failed'")]
    says = {one.says for one in hostile.HABITS.values() if one.says}
    unsaid = [reason for reason in reasons if not any(words in reason for words in says)]
    assert not unsaid
    assert all(any(words in reason for reason in reasons) for words in says)
    assert server.billed < 5_000_000


def test_08_counts_that_cannot_be_true_never_pass_a_budget(whyrec: Any, played: Any, tmp_path: Path) -> None:
    server = played("negative counts")
    done = whyrec(*JOB, "--llm", f"openai:tiny@{server.url}", "--budget-tokens", "20000", "--concurrency", "4")
    assert "Traceback" not in done.said and server.billed <= 20_000, f"billed {server.billed} of 20,000"
    assert sum(server.played.values()) > 1 and "budget" in done.said


@pytest.mark.parametrize(
    "change",
    [
        {"usage": "none"},
        {"usage": {"prompt_tokens": "12", "completion_tokens": "7"}},
        {"model": ["m"]},
        {"error": None},
    ],
)
def test_08_a_good_answer_beside_a_bad_field_is_an_answer(canned: Any, change: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": [{"type": "text", "text": "Warm"}, {"type": "text", "text": " socks"}]}
    choice = {"index": None, "message": message, "logprobs": {"content": [None]}}
    server = canned({**change, "choices": [choice]})
    found = answer(f"openai:tiny@{server.url}")
    assert getattr(found, "text", found) == "Warm socks"
    assert found.model == "" and isinstance(found.usage.prompt, int | None)


def test_08_a_wrong_shape_is_asked_for_once(canned: Any) -> None:
    import whyrec.llm

    server = canned({"choices": [None, None]})

    async def ask() -> BaseException | None:
        model = whyrec.llm.open(f"openai:tiny@{server.url}", settings=read_settings(), cache=False)
        try:
            await asyncio.wait_for(model.complete(ASK), 20)
        except Exception as error:
            return error
        finally:
            await model.close()
        return None

    error = asyncio.run(ask())
    assert isinstance(error, ModelError) and len(server.asked) == 1, repr(error)


@pytest.mark.parametrize("name", ["max_tokens", "422", "response_format", "system role", "system role, status 500"])
def test_18_a_refusal_names_the_option_that_mends_it(played: Any, hostile: ModuleType, name: str) -> None:
    error = answer(f"openai:tiny@{played(name).url}")
    assert isinstance(error, ModelError) and hostile.HABITS[name].says in str(error), repr(error)
    assert "drop=max" not in str(error)


@pytest.mark.parametrize(("status", "body"), [(404, {"error": "Not Found"}), (200, b"<html><h1>A page</h1></html>")])
def test_18_a_url_without_v1_is_told_to_have_it(canned: Any, status: int, body: Any) -> None:
    server = canned(body, status=status)
    error = answer(f"openai:tiny@{server.root}")
    assert isinstance(error, ModelError) and f"add /v1, as in {server.root}/v1" in str(error), repr(error)


def test_18_cut_while_thinking_names_the_limit_and_is_not_asked_again(whyrec: Any, played: Any, tmp_path: Path) -> None:
    server = played("thinking cut")
    done = whyrec(*JOB, "--users", "1", "--llm", f"openai:tiny@{server.url}")
    assert done.code == 1 and "Traceback" not in done.said
    ((reason,),) = rows(tmp_path, "SELECT reason FROM example")
    assert f"the limit of {server.longest} tokens" in reason and '?extra={"max_tokens":' in reason, reason
    assert sum(server.played.values()) == 1, "its repair would think as long"


def test_19_a_server_without_a_system_role_is_found_and_answers(whyrec: Any, openai_thread: Any) -> None:
    openai_thread.refuses = frozenset({"system"})
    name = f"openai:tiny@{openai_thread.url}"
    job = (*JOB, "--users", "2", "--llm")
    first = whyrec(*job, name)
    assert first.code != 0 and "?system=user" in whyrec("runs", "show", "latest").said, first.said
    assert whyrec("llm", "check", name).code == 0
    assert whyrec(*job, name, "--retry-failed").code == 0
    assert whyrec(*job, f"{name}?system=user").code == 0
    roles = [message["role"] for message in openai_thread.requests[-1]["messages"]]
    assert "system" not in roles


def test_08_a_batch_file_passes_the_same_border(whyrec: Any, openai_thread: Any, tmp_path: Path) -> None:
    job = ("cot_rec.preference", "--data", "world:users=12,items=60", "--users", "4")
    name = f"openai:tiny@{openai_thread.url}"
    out, back = tmp_path / "batch.jsonl", tmp_path / "back.jsonl"
    assert whyrec("llm", "batch", "export", *job, "--llm", name, "--out", out, "--most", "2").code == 0
    ids = [json.loads(line)["custom_id"] for line in out.read_text().splitlines()]
    bodies = [{"choices": [None, None]}, {"choices": [{"index": None, "message": {"content": 7}}], "usage": "none"}]
    answers = [{"status_code": 200, "body": body} for body in bodies]
    lines = [{"custom_id": one, "response": told} for one, told in zip(ids, answers, strict=True)]
    back.write_text("\n".join(map(json.dumps, lines)))
    done = whyrec("llm", "batch", "import", back)
    assert done.code == 1 and "Traceback" not in done.said and "0 answers kept, 2 not" in done.said, done.said[-500:]


@pytest.mark.parametrize(
    "body",
    [
        {"data": None},
        {"data": [{"embedding": None}]},
        {"data": [{"index": 0, "embedding": ["x"]}]},
        b'{"data": [{"index": 0, "embedding": [NaN, 1.0]}]}',
        [],
    ],
)
def test_08_what_is_no_vector_is_a_sentence(canned: Any, body: Any) -> None:
    found = embedded(canned(body))
    assert isinstance(found, UsageError), repr(found)
