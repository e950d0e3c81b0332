"""The page knows the graph of a plug-in as it knows ours, and shows what it left where the plug-in is not here."""

from __future__ import annotations

import asyncio
import os
from importlib.resources import files

import pytest
from starlette.testclient import TestClient

from graphs.run import How, run
from whyrec import plugins
from whyrec.data import open_data
from whyrec.settings import Settings
from whyrec.ui.app import build
from whyrec.ui.site import link
from whyrec.ui.started import Processes


@pytest.fixture
def taste(tmp_path, monkeypatch):
    """A file as `whyrec new graph taste` writes it, in use."""
    monkeypatch.chdir(tmp_path)
    text = (files("whyrec.cli.guests.new.skeletons") / "graph.py").read_text(encoding="utf-8")
    (tmp_path / "taste.py").write_text(text, encoding="utf-8")
    plugins.forget()
    plugins.use(["taste.py"])
    yield tmp_path / "taste.py"
    plugins.forget()


def test_a_plug_ins_graph_is_shown_and_offered_as_ours_are(taste, tmp_path):
    settings = Settings(home=tmp_path / "home")
    data = open_data("world:users=4,items=40", settings=settings)
    how = How(settings=settings, world=data.world)
    made = asyncio.run(run("taste", corpus=data.data, model="simulated:1", how=how)).run
    with TestClient(build(settings), base_url="http://127.0.0.1:8700") as client:
        said = client.get(link("runs", made, "examples", "u1")).text
        assert '<svg class="graph walked"' in said and "is what the run has stored" in said
        assert '<h4>likes</h4><div class="prose' in said and said.count('class="chip"') >= 2
        assert '<option value="taste">' in client.get("/new").text
    assert Processes(settings)._environment()["WHYREC_PLUGINS"].split(os.pathsep) == [str(taste)]
    plugins.forget()
    with TestClient(build(settings), base_url="http://127.0.0.1:8700") as client:
        said = client.get(link("runs", made, "examples", "u1")).text
        assert "cannot be made again here" in said and '<h4>likes</h4><div class="prose' in said
        assert '<option value="taste">' not in client.get("/new").text
