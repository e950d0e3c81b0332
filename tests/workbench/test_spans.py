"""Spans arrive whole in an OTLP/HTTP receiver, with OpenInference's names, whatever the receiver does meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
from typer.testing import CliRunner

from graphs.run import How, run
from whyrec.cli import build
from whyrec.data import open_data
from whyrec.errors import UsageError
from whyrec.llm.built_in.flaky import Faults, Flaky
from whyrec.llm.built_in.simulated.model import Simulated
from whyrec.runs import open_run
from whyrec.settings import read_settings
from whyrec.trace.export_otlp import Receiver, encode
from whyrec.trace.export_spans import Span
from whyrec.workbench.asked import asked
from whyrec.workbench.spans import spans

DATA = "world:users=6,items=80,seed=3"


def made(*, broken: bool = False):
    settings = read_settings()
    opened = open_data(DATA, settings=settings)
    how = How(settings=settings, world=opened.world)
    model = Flaky(Simulated(opened.world, 1.0), Faults(json=0.9), seed=1) if broken else "simulated:1"
    report = asyncio.run(run("cot_rec.preference", corpus=opened.data, model=model, how=how))
    return open_run(settings.home, report.run)


def whyrec(*arguments: str) -> str:
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def read(span):
    return sys.modules["whyrec_tests_otlp_receiver"].attributes(span)


def test_every_span_arrives_whole_with_the_names_phoenix_reads(otlp_receiver):
    reader = made()
    said = whyrec("export", reader.id, "--otlp", otlp_receiver.url, "--batch", "7", "--header", "authorization=abc")
    expected = [span for exported in spans(reader) for span in exported.spans]
    assert f"{len(expected):,} spans" in said and "arrived." in said
    assert otlp_receiver.headers["Authorization"] == "abc" and otlp_receiver.posts >= 3
    assert all(r["openinference.project.name"] == "whyrec" and r["whyrec.run"] == reader.id
               for r in otlp_receiver.resources)  # fmt: skip
    got = {span.span_id: span for span in otlp_receiver.spans}
    assert len(got) == len(otlp_receiver.spans) == len(expected)
    for span in expected:
        there = got[span.id]
        assert (there.trace_id, there.parent_span_id, there.name) == (span.trace, span.parent, span.name)
        assert (there.start_time_unix_nano, there.end_time_unix_nano) == (span.start, span.end)
        assert read(there) == dict(span.attributes)
    calls = reader.counts().calls
    kinds = [read(span)["openinference.span.kind"] for span in otlp_receiver.spans]
    assert kinds.count("LLM") == calls and set(kinds) == {"LLM", "CHAIN"}
    roots = [span for span in otlp_receiver.spans if not span.parent_span_id]
    assert sorted(span.name for span in roots) == [result.key for result in reader.results()]
    assert len({span.trace_id for span in otlp_receiver.spans}) == len(roots)


def test_a_call_is_all_there(otlp_receiver):
    reader = made()
    whyrec("export", reader.id, "--otlp", otlp_receiver.url)
    llm = [span for span in otlp_receiver.spans if read(span)["openinference.span.kind"] == "LLM"]
    for number, span in enumerate(llm, 1):
        call, told = reader.call(number), read(span)
        messages = asked(reader, number).request.messages
        assert [
            (told[f"llm.input_messages.{i}.message.role"], told[f"llm.input_messages.{i}.message.content"])
            for i in range(len(messages))
        ] == [(m.role, m.content) for m in messages]
        assert told["llm.output_messages.0.message.content"] == told["output.value"] == call["answer"]
        assert told["llm.output_messages.0.message.role"] == "assistant"
        assert told["llm.token_count.prompt"] == call["tokens_in"]
        assert told["llm.token_count.completion"] == call["tokens_out"]
        assert json.loads(told["llm.invocation_parameters"])["max_tokens"] in (400, 700)
        assert told["llm.model_name"] and told["session.id"] == reader.id and told["user.id"] == call["user"]
        assert json.loads(told["input.value"])["messages"][0]["role"] == messages[0].role
        assert json.loads(told["metadata"])["call"] == number
        parent = next(s for s in otlp_receiver.spans if s.span_id == span.parent_span_id)
        assert parent.name == call["node"] and parent.trace_id == span.trace_id
        assert parent.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= parent.end_time_unix_nano
        root = next(s for s in otlp_receiver.spans if s.span_id == parent.parent_span_id)
        assert root.name == call["example"]
        assert json.loads(read(root)["output.value"]) == reader.result(call["example"]).payload


def test_errors_and_failed_examples_are_the_status(otlp_receiver):
    reader = made(broken=True)
    assert reader.counts().failed
    whyrec("export", reader.id, "--otlp", otlp_receiver.url)
    roots = {span.name: span for span in otlp_receiver.spans if not span.parent_span_id}
    for result in reader.results():
        status = roots[result.key].status
        assert (status.code == 2) == (result.status == "failed")
        assert status.message == (result.reason if result.status == "failed" else "")
        assert [event.name for event in roots[result.key].events] == (
            ["exception"] if result.status == "failed" else []
        )


def test_what_may_pass_is_tried_again_and_what_is_refused_is_counted(otlp_receiver):
    slept: list[float] = []
    span = Span(b"t" * 16, b"s" * 8, b"", "one", 1, 2, {"n": 1, "x": 0.5, "yes": True, "odd": "\ud800"})
    receiver = Receiver(otlp_receiver.url, sleep=slept.append, pause=0.25)
    otlp_receiver.faults = [(503, {}), (429, {"Retry-After": "3"}), (500, {"Retry-After": "soon"})]
    sent = receiver.send([span], {"service.name": "whyrec"})
    assert (sent.arrived, sent.refused, sent.tries) == (1, 0, 4) and slept == [0.25, 3.0, 1.0]
    assert read(otlp_receiver.spans[0]) == {"n": 1, "x": 0.5, "yes": True, "odd": "?"}
    otlp_receiver.refuse = {"one"}
    sent = receiver.send([span], {})
    assert (sent.arrived, sent.refused, sent.why) == (0, 1, "not wanted")
    otlp_receiver.faults = [(401, {})]
    with pytest.raises(UsageError, match="refuses spans: 401"):
        receiver.send([span], {})
    otlp_receiver.faults = [(503, {})] * 3
    with pytest.raises(UsageError, match="in 2 tries: 503"):
        Receiver(otlp_receiver.url, tries=2, sleep=slept.append).send([span], {})
    assert len(encode([span], {})) > 20


def test_an_export_that_broke_off_goes_on_from_a_call(otlp_receiver, tmp_path):
    reader = made()
    whole = {span.id for exported in spans(reader) for span in exported.spans}
    first = [exported for exported in spans(reader) if exported.call <= 5]
    Receiver(otlp_receiver.url).send([span for exported in first for span in exported.spans], {})
    otlp_receiver.faults = [(400, {})]
    with pytest.raises(UsageError, match="--after 5"):
        whyrec("export", reader.id, "--otlp", otlp_receiver.url, "--after", "5", "--batch", "3")
    said = whyrec("export", reader.id, "--otlp", otlp_receiver.url, "--after", "5", "--batch", "3")
    assert "spans of calls 6 to" in said
    assert [span.span_id for span in otlp_receiver.spans] and {s.span_id for s in otlp_receiver.spans} == whole
    assert len(otlp_receiver.spans) == len(whole)


def test_a_file_holds_the_same_spans(tmp_path):
    reader, file = made(), tmp_path / "spans.jsonl"
    said = whyrec("export", "--jsonl", str(file))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert f"{len(lines):,} spans of calls 1 to" in said
    expected = [span for exported in spans(reader) for span in exported.spans]
    assert [line["span_id"] for line in lines] == [span.id.hex() for span in expected]
    assert lines[-1]["attributes"] == dict(expected[-1].attributes) and lines[0]["parent_id"] is None


def test_where_to_is_asked():
    made()
    for arguments in ([], ["--otlp", "http://127.0.0.1:1", "--jsonl", "x"]):
        with pytest.raises(UsageError, match="Say where"):
            whyrec("export", *arguments)
    with pytest.raises(UsageError, match="no URL"):
        whyrec("export", "--otlp", "127.0.0.1:6006")
    with pytest.raises(UsageError, match="NAME=VALUE"):
        whyrec("export", "--otlp", "http://127.0.0.1:1", "--header", "x")
    with pytest.raises(UsageError, match="in 1 tries"):
        whyrec("export", "--otlp", "http://127.0.0.1:1", "--tries", "1")
