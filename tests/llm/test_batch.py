"""Batch files: what a run lacks is written, answers are read into the cache, and the run then asks nobody."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.errors import UsageError
from whyrec.llm.batch import read
from whyrec.runs import list_runs
from whyrec.settings import read_settings

DATA = ["--data", "world:users=12,items=60", "--users", "4"]


def whyrec(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def answered(file: Path, url: str) -> Path:
    """What OpenAI would send back: every line's body posted to a server, in another order."""
    lines = []
    for line in reversed(file.read_text().splitlines()):
        told = json.loads(line)
        assert (told["method"], told["url"]) == ("POST", "/v1/chat/completions")
        body = json.dumps(told["body"]).encode()
        request = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            reply = json.loads(response.read())
        answer = {"status_code": 200, "request_id": "r", "body": reply}
        lines.append(json.dumps({"id": "b", "custom_id": told["custom_id"], "response": answer, "error": None}))
    out = file.with_suffix(".out.jsonl")
    out.write_text("\n".join(lines) + "\n")
    return out


def test_rounds_of_batches_leave_nothing_for_the_run_to_ask(openai_thread: Any, tmp_path: Path) -> None:
    model = ["--llm", f"openai:tiny@{openai_thread.url}"]
    job = ["cot_rec.preference", *DATA, *model, "-o", "batch=5"]
    rounds = []
    for number in range(20):
        out = tmp_path / f"{number}.jsonl"
        said = whyrec("llm", "batch", "export", *job, "--out", str(out))
        if "Nothing is left" in said:
            break
        rounds.append(out)
        assert "0 not" in whyrec("llm", "batch", "import", str(answered(out, openai_thread.url)))
    assert len(rounds) > 1, "a fold takes several rounds"
    sent = len(openai_thread.requests)
    assert "Every answer came from the cache" in whyrec("run", *job, "--yes")
    assert len(openai_thread.requests) == sent
    (info,) = list_runs(read_settings().home)
    assert info.counts.asked == 0 and info.counts.done == 4
    assert "4 examples are ready" in whyrec("llm", "batch", "export", *job, "--out", str(tmp_path / "more.jsonl"))


def test_answers_that_failed_or_do_not_fit_are_told_and_not_kept(openai_thread: Any, tmp_path: Path) -> None:
    job = ["cot_rec.preference", *DATA, "--llm", f"openai:tiny@{openai_thread.url}"]
    out = tmp_path / "batch.jsonl"
    whyrec("llm", "batch", "export", *job, "--out", str(out), "--most", "4")
    good = [json.loads(line) for line in answered(out, openai_thread.url).read_text().splitlines()]
    assert len(good) == 4
    failed, cut, shapeless, foreign = good
    failed["response"] = {"status_code": 400, "body": {"error": {"message": "too long"}}}
    cut["response"]["body"]["choices"][0]["finish_reason"] = "length"
    shapeless["response"]["body"]["choices"][0]["message"]["content"] = '{"other": 1}'
    foreign["custom_id"] = "whyrec-" + "0" * 32
    expired = {"custom_id": failed["custom_id"], "response": None, "error": {"message": "batch expired"}}
    back = tmp_path / "back.jsonl"
    gateway = {"custom_id": failed["custom_id"], "response": {"status_code": 500, "body": "upstream timed out"}}
    odd = [*map(json.dumps, (gateway, {**gateway, "response": [1]})), "[" * 60_000]
    lines = [*map(json.dumps, (failed, cut, shapeless, foreign, expired)), "not json", *odd]
    back.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    said = whyrec("llm", "batch", "import", str(back), code=1)
    for words in ("too long", "cut off", "not of the JSON schema", "nobody here asked", "batch expired", "line 6: "):
        assert words in said
    assert "upstream timed out" in said and "line 9: " in said and "line 1: " not in said
    assert "0 answers kept, 9 not" in said
    again = tmp_path / "again.jsonl"
    whyrec("llm", "batch", "export", *job, "--out", str(again), "--most", "4")
    assert again.read_text() == out.read_text(), "they are asked again"


def test_an_answer_may_hold_line_ends_that_end_no_line(openai_thread: Any, tmp_path: Path) -> None:
    """OpenAI writes raw U+2028 and U+0085 into answers; these were paid for."""
    job = ["cot_rec.preference", *DATA, "--llm", f"openai:tiny@{openai_thread.url}"]
    out, back = tmp_path / "batch.jsonl", tmp_path / "back.jsonl"
    whyrec("llm", "batch", "export", *job, "--out", str(out), "--most", "2")
    told = [json.loads(line) for line in answered(out, openai_thread.url).read_text().splitlines()]
    for one in told:
        message = one["response"]["body"]["choices"][0]["message"]
        fields = json.loads(message["content"])
        fields = {k: f"{v}\u2028\u0085\x0b" if isinstance(v, str) else v for k, v in fields.items()}
        message["content"] = json.dumps(fields, ensure_ascii=False)
    back.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in told), encoding="utf-8")
    assert "2 answers kept, 0 not" in whyrec("llm", "batch", "import", str(back))


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "holds no line"), (b"\n \n", "holds no line"), (b"\xff{", "no UTF-8")]
)
def test_a_file_without_answers_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "back.jsonl").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read(tmp_path / "back.jsonl", tmp_path)


def test_what_cannot_be_written_is_refused(tmp_path: Path, openai_thread: Any) -> None:
    (tmp_path / "there.jsonl").write_text("")
    job = ["llm", "batch", "export", "cot_rec.preference", *DATA]
    with pytest.raises(UsageError, match="is there already"):
        whyrec(*job, "--llm", f"openai:tiny@{openai_thread.url}", "--out", str(tmp_path / "there.jsonl"))
    with pytest.raises(UsageError, match="knows no Batch files"):
        whyrec(*job, "--llm", "extractive", "--out", str(tmp_path / "x.jsonl"))
    with pytest.raises(UsageError, match="There is no file"):
        read(tmp_path / "none.jsonl", tmp_path)


def test_questions_are_written_without_a_key(tmp_path: Path) -> None:
    """Nobody is asked; who sends the file has one."""
    job = ["llm", "batch", "export", "cot_rec.preference", *DATA, "--llm", "openai:gpt-4o-mini"]
    assert "questions in" in whyrec(*job, "--out", str(tmp_path / "b.jsonl"))
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        whyrec("run", *job[3:], "--yes")
