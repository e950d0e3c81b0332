"""Every graph runs from names alone, as LangGraph Studio asks for it; three of them over HTTP, in `langgraph dev`."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from graphs import studio
from graphs.studio import Served, context_of, settings_file
from graphs.workflow import find_example, names, workflow
from whyrec import plugins
from whyrec.cli import build
from whyrec.errors import UnknownNameError, UsageError
from whyrec.runs import list_runs
from whyrec.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
FILE, PAGE = ROOT / "langgraph.json", ROOT / "docs" / "studio.md"
WORLD = "world:users=30,items=40"


def test_langgraph_json_is_fresh():
    assert FILE.read_text() == settings_file(), "run python -m graphs.studio"
    listed = json.loads(FILE.read_text())["graphs"]
    assert sorted(listed) == names()
    for name, told in listed.items():
        module, variable = told["path"].split(":")
        assert module == studio.__name__ and vars(studio)[variable].name == name


@pytest.mark.parametrize("name", names())
async def test_every_graph_runs_with_nothing_said(name):
    final = await Served(name)().ainvoke({})
    assert "/" in final["example"] or final["example"] == "mine"
    assert final["result"] and json.dumps(final["result"])


async def test_example_model_data_and_options_are_names():
    graph = Served("cot_rec.preference")()
    context = {
        "data": WORLD,
        "llm": "echo",
        "roles": {"writer": "extractive"},
        "options": {"split": "valid", "batch": 3},
    }
    final = await graph.ainvoke({"user": "u3"}, context=context)
    assert final["example"] == "valid/u3" and final["result"]["split"] == "valid"
    assert final["result"]["batches"] > 1 and "<" not in final["result"]["text"]
    by_key = await graph.ainvoke({"user": "valid/u3"}, context=context)
    assert by_key == {**final, "user": "valid/u3"}


async def test_answers_are_kept_and_no_run_is():
    graph = Served("cot_rec.preference")()
    await graph.ainvoke({}, context={"data": WORLD})
    home = read_settings().home
    assert (home / "cache.sqlite").exists() and not list_runs(home)


@pytest.mark.parametrize(
    ("asked", "context", "said"),
    [
        ({"user": "nobody"}, {}, "There is no example named 'nobody'"),
        ({}, {"options": {"batsh": 3}}, "Did you mean 'batch'?"),
        ({}, {"options": {"batch": "five"}}, "is a whole number, not 'five'"),
        ({}, {"data": "wurld"}, "There is no data set named 'wurld'"),
        ({}, {"llm": "extraktive"}, "extraktive"),
        ({}, {"roles": {"judge": "echo"}}, "There is no role in cot_rec.preference named 'judge'"),
    ],
)
async def test_a_wrong_name_is_told_in_an_error_whose_message_the_server_shows(asked, context, said):
    with pytest.raises(UsageError) as told:
        await Served("cot_rec.preference")().ainvoke(asked, context={"data": WORLD, **context})
    assert said in str(told.value) and isinstance(told.value, ValueError)


def test_the_graph_of_a_plug_in_is_served_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugins.forget()
    try:
        CliRunner().invoke(build(), ["new", "graph", "liking"], catch_exceptions=False)
    finally:
        plugins.forget()
    subprocess.run([sys.executable, "-m", "graphs.studio"], check=True, timeout=120)
    listed = json.loads((tmp_path / "langgraph.json").read_text())["graphs"]
    assert listed["liking"]["path"] == "graphs.studio:liking" and len(listed) > 1
    code = "import asyncio, graphs.studio as s; print(asyncio.run(s.liking().ainvoke({}))['example'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "test/u0\n", done.stderr


class Rows:
    """Three rows of two users."""

    indices = np.arange(3)

    def key(self, index: int) -> str:
        return f"test/row-{index}"

    def place(self, index: int) -> tuple[str, str]:
        return ("u1", "u2", "u2")[index], "test"


def test_an_example_is_found_by_its_key_or_by_whose_it_alone_is():
    rows: Any = Rows()
    assert [find_example(rows, name) for name in ("", "test/row-2", "row-1", "u1")] == [0, 2, 1, 0]
    with pytest.raises(UnknownNameError, match="Known: test/row-1, test/row-2"):
        find_example(rows, "u2")
    rows.indices = np.arange(0)
    with pytest.raises(UsageError, match="no example"):
        find_example(rows, "u1")


def test_the_form_shows_every_option_with_its_default_here():
    shown = context_of(workflow("pulse.refine")).model_json_schema()["properties"]
    assert shown["llm"]["default"] == "extractive" and shown["data"]["default"].startswith("world")
    options = shown["options"]["properties"]
    assert options["split"]["enum"] == ["train", "valid", "test"] and options["rationales"]["default"] == "none"


# --- over HTTP


class Dev:
    """`langgraph dev` in a process of its own, with the variables of somebody who uses LangSmith for other work."""

    def __init__(self, folder: Path, langsmith: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address, self._said = f"http://127.0.0.1:{port}", folder / "said.txt"
        known = {
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_API_KEY": "lsv2_planted_0123456789",
            "LANGSMITH_ENDPOINT": langsmith,
        }
        command = [sys.executable, "-m", "langgraph_cli", "dev", "--config", str(FILE), "--port", str(port)]
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                [*command, "--no-browser", "--no-reload"],
                cwd=folder,
                env={**os.environ, **known},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def wait(self, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self._process.poll() is None, self._said.read_text()[-3000:]
            try:
                with urllib.request.urlopen(f"{self.address}/ok", timeout=5):
                    return
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.1)
        pytest.fail(f"langgraph dev did not start: {self._said.read_text()[-3000:]}")

    def ask(self, path: str, asked: Any = None) -> Any:
        body = None if asked is None else json.dumps(asked).encode()
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def dev(tmp_path: Path, langsmith_like: Any) -> Iterator[Dev]:
    pytest.importorskip("langgraph_api", reason="the extra studio is not installed")
    server = Dev(tmp_path, langsmith_like.address)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.mark.slow
def test_langgraph_dev_runs_graphs_from_names_and_tells_nobody(dev: Dev, langsmith_like: Any):
    for name in ("cot_rec.preference", "pulse.refine", "rallrec.predict"):
        final = dev.ask("/runs/wait", {"assistant_id": name, "input": {}, "context": {"data": WORLD}})
        assert final["result"] and final["example"].startswith("test/"), final
    named = {"assistant_id": "cot_rec.preference", "input": {"user": "u3"}, "context": {"data": WORLD}}
    assert dev.ask("/runs/wait", named)["example"] == "test/u3"
    wrong = dev.ask("/runs/wait", {**named, "input": {"user": "nobody"}})
    assert "There is no example named 'nobody'" in wrong["__error__"]["message"]
    (assistant,) = dev.ask("/assistants/search", {"graph_id": "cot_rec.preference"})
    drawn = dev.ask(f"/assistants/{assistant['assistant_id']}/graph?xray=true")
    assert {"preference:summarise", "preference:merge"} <= {node["id"] for node in drawn["nodes"]}
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {}
    exec(example.replace("http://127.0.0.1:2024", dev.address), found)
    assert found["final"]["example"] == "test/u3" and found["final"]["result"]["text"]
    assert langsmith_like.seen == []
