"""OpenAI's Batch files as they come back, and the copies of what was sent."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import changed, dumps, edited
from fuzzing.target import Target

_KEYS = ("0" * 32, "a" * 32)
_SHAPE = {"type": "json_schema", "json_schema": {"name": "A", "schema": {"type": "object", "required": ["a"]}}}
_WRITTEN = [
    {"key": key, "model": "openai:m", "body": {"model": "m", "messages": [], "response_format": _SHAPE}}
    for key in _KEYS
]
_ANSWERED: list[Any] = [
    {
        "id": "b",
        "custom_id": f"whyrec-{key}",
        "error": None,
        "response": {
            "status_code": 200,
            "request_id": "r",
            "body": {
                "model": "m",
                "choices": [{"index": 0, "message": {"content": '{"a": 1}'}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1},
            },
        },
    }
    for key in _KEYS
]
_FAILED = [{"custom_id": f"whyrec-{_KEYS[0]}", "response": None, "error": {"code": "x", "message": "late"}}]


def _lines(records: list[Any]) -> bytes:
    return b"".join(dumps(record) + b"\n" for record in records)


def _home(written: bytes) -> Path:
    home = Path(os.environ["WHYREC_HOME"])
    shutil.rmtree(home / "batches", ignore_errors=True)
    (home / "batches").mkdir(parents=True)
    (home / "batches" / "one.jsonl").write_bytes(written)
    return home


def answered(content: bytes) -> object:
    return _read(_lines(_WRITTEN), content)


def kept(content: bytes) -> object:
    return _read(content, _lines(_ANSWERED))


def _read(written: bytes, content: bytes) -> object:
    from whyrec.llm.batch import read

    home = _home(written)
    Path("output.jsonl").write_bytes(content)
    found = read(Path("output.jsonl"), home)
    for name, why in found.wrong:
        assert isinstance(name, str) and why, "each that is not kept says why"
    return found.kept


def _files(records: list[Any]) -> st.SearchStrategy[bytes]:
    one = st.builds(
        lambda line, plain: dumps(line, ascii_only=plain) + b"\n" + _lines(records), changed(records), st.booleans()
    )
    return one | edited([_lines(records)])


TARGETS = (
    Target(
        "batches.answered",
        lambda: _files(_ANSWERED + _FAILED),
        answered,
        2.0,
        prepare=lambda: answered(_lines(_ANSWERED)),
    ),
    Target("batches.kept", lambda: _files(_WRITTEN), kept, 0.5, prepare=lambda: kept(_lines(_WRITTEN))),
)
