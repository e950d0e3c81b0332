"""A graph of the house is one file in a paper's room: put there, it is found by all that asks what graphs say."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import graphs
import whyrec.cli.guests.new.skeletons as skeletons
from evals.inputs.worth import check, worth
from graphs.engine.draw import page
from graphs.outcomes import Judged
from graphs.shared.texts_of_runs import kinds
from graphs.studio import settings_file
from graphs.workflow import find, names, ours, workflow
from whyrec.errors import UnknownNameError
from whyrec.plugins.rules import Rule
from whyrec.runs import Result
from whyrec.workbench.audit.rules import earlier_of, order_of, results_of, rules_of


@pytest.fixture
def added(tmp_path, monkeypatch):
    """A house with one more paper, whose only graph is what `whyrec new graph` writes."""
    text = Path(skeletons.__file__).with_name("graph.py").read_text()
    room = tmp_path / "tasting"
    room.mkdir()
    (room / "__init__.py").write_text("")
    (room / "taste.py").write_text(text.replace('NAME = "taste"', 'NAME = "tasting.taste"'))
    (room / "pieces.py").write_text("# WORKFLOW = nothing that is declared\nNO_WORKFLOW = 3\n")
    monkeypatch.setattr(graphs, "__path__", [*graphs.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield "tasting.taste"
    for name in [module for module in sys.modules if module.startswith("graphs.tasting")]:
        del sys.modules[name]


def test_one_file_is_found_by_everyone(added, world, tmp_path):
    assert set(ours()) - set(names_before()) == {added}
    assert added in names() and workflow(added).name == added
    assert rules_of("taste/ask", added).blanks["taste/ask"]["history"] is Rule.HISTORY
    assert results_of(added)["likes"] is Rule.SAID and not order_of(added) and not earlier_of(added)
    assert kinds()["likes"] == (added,)
    check(added)
    done = Result("test/u0", "u0", "test", "done", payload={"likes": "three short words"})
    (measure,) = worth(added, Judged(world.corpus, None, [done], tmp_path))
    assert (measure.name, dict(measure.values)) == ("words", {"test/u0": 3.0})
    assert f"## {added}\n" in page() and f'"{added}"' in settings_file()


def names_before() -> list[str]:
    """The graphs of the checkout, by their files."""
    root = Path(graphs.__file__).parent
    files = [
        file for file in root.glob("*/*.py") if any(x.startswith("WORKFLOW") for x in file.read_text().split("\n"))
    ]
    return [f"{file.parent.name}.{file.stem}" for file in files]


def test_what_nobody_declares_is_nowhere():
    assert find("tasting.taste") is None
    with pytest.raises(UnknownNameError):
        check("tasting.taste")
    assert results_of("tasting.taste") is None and rules_of("tasting/ask", "tasting.taste") is None


def test_graphs_are_listed_without_being_imported():
    code = (
        "import sys\nfrom graphs.workflow import names\nassert len(names()) > 9\nassert 'langgraph' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(graphs.__file__).parents[1])
