"""The notebooks of docs/notebooks run in a real kernel, and what their texts say is what comes out.

Each is run whole, then checked in its own kernel by the lines in CHECKS, on the names that its cells left. They are
committed without outputs, so nothing that is shown there can be stale, and no machine's paths get into the repository.
"""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
MOST_LINES, MOST_CPU_S = 10, 40
SNIPPET = """
import whyrec
data = whyrec.load_data("clicks.csv", user="who", item="what", time="when", items="products.csv")
run = whyrec.run("cot_rec.preference", data, llm="extractive", users=200)
run.results.to_pandas()
run_of_descriptions = whyrec.run("cot_rec.describe", data, llm="extractive")
user_or_history = ["0", "1"]
model = whyrec.fit("sasrec", data, items=run_of_descriptions, epochs=2); model.recommend(user_or_history, n=3)
whyrec.evaluate("cot_rec.table_1", data, llm=["extractive"], cells="popularity").show()
run_a, run_b = run, whyrec.run("cot_rec.preference", data, llm="extractive", users=200, seed=1)
whyrec.compare(run_a, run_b)
more = await whyrec.arun("cot_rec.preference", data, llm="extractive", users=200)
"""
CHECKS = {
    "first_steps": """
assert (expected.examples, len(run.results), len(described.results)) == (20, 30, 120) and run.complete
assert data.corpus.items[data.corpus.offsets[1] - 1] not in [e.item.index for e in data.history("u0")]
lows = [(float(r["ndcg@10 low"]), float(r["ndcg@10 high"])) for r in table.to_polars().iter_rows(named=True)]
assert len(lows) == 2 and all(low < high for low, high in lows)
assert max(low for low, _ in lows) < min(high for _, high in lows), "they overlap"
""",
    "your_own_data": """
assert data.corpus.n_users == 60 and data.corpus.n_items == 24 == len(described.results)
assert {one.item.categories for one in best} == {("coffee",)}
assert model.evaluate()["ndcg@10"] > popular.evaluate()["ndcg@10"]
assert whyrec.open_model(model.name).recommend(basket, n=3) == best
""",
    "change_a_prompt": """
frame = compared.to_polars()
rows = {row["measure"]: row for row in frame.iter_rows(named=True)}
chosen, other = rows["mrr@10"], rows["hr@1"]
assert compared.to_polars().row(0, named=True) == chosen and chosen["n"] == 200
assert chosen["low"] < 0 < chosen["high"], "a null"
assert other["high"] < 0 and other["p"] < 0.05, "chance that looks like harm"
assert all("interval includes 0" in line for line in whyrec.compare(house, again).says)
assert all("A difference is shown: the interval lies above 0" in line for line in seen.says)
assert not any("A difference is shown" in line for line in together.says), "adjusted, none is left"
assert "rated best" in mine.show("u1").said[0].messages[-1].content
""",
}


@pytest.fixture(autouse=True)
def of_this_test_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels keep what they write to themselves: settings, history, connection files."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")


def executed(notebook: nbformat.NotebookNode, folder: Path) -> dict[str, str]:
    """What each cell showed, by the cell's id: the HTML where there is one, else the text."""
    nbclient.NotebookClient(
        notebook, kernel_name="python3", timeout=300, resources={"metadata": {"path": folder}}
    ).execute()
    shown = {}
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        found = [one.get("text") or one["data"].get("text/html") or one["data"]["text/plain"] for one in outputs]
        shown[cell["id"]] = unescape("\n".join(found))
    return shown


def code(*sources: str) -> list[nbformat.NotebookNode]:
    return [nbformat.v4.new_code_cell(source) for source in sources]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_does_what_it_says(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, 4)
    cpu = f"import time; assert time.process_time() < {MOST_CPU_S}, time.process_time()"
    notebook.cells += code(CHECKS[path.stem], cpu)
    shown = executed(notebook, tmp_path)
    if path.stem == "change_a_prompt":
        assert re.search(r"mine - house.*mrr@10.*-0\.\d+ \[-0\.\d+, \+0\.\d+\]", shown["compare"], re.DOTALL)
        assert "<svg" in shown["data"] and "Think of the products rated best." in shown["sent"]
    elif path.stem == "first_steps":
        assert "<svg" in shown["graph"] and "[95%]" in shown["table"] and "summarise" in shown["show"]
        assert "20 of 20" in shown["run"] and "<progress" in shown["run"] and "users</td>" in shown["data"]
    else:
        assert "there is no column 'customer'" in shown["wrong"] and "who, what, when" in shown["wrong"]
        assert "Coffee" in shown["basket"] or "Moka" in shown["basket"]


def test_every_notebook_is_checked_and_linked_from_the_page_of_the_library() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(CHECKS)
    page = (ROOT / "docs" / "library.md").read_text()
    assert all(f"notebooks/{path.name}" in page for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_was_written(path: Path) -> None:
    notebook = json.loads(path.read_text())
    nbformat.validate(nbformat.from_dict(notebook))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"} and "/" not in str(notebook["metadata"])
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == kinds[-1] == "markdown" and len(set(kinds)) == 2
    for cell in notebook["cells"]:
        assert len("".join(cell["source"]).splitlines()) <= (MOST_LINES if cell["cell_type"] == "code" else 20), cell[
            "id"
        ]
        assert cell["cell_type"] == "markdown" or (cell["outputs"] == [] and cell["execution_count"] is None)
    links = re.findall(r"\]\(([^)]+)\)", "\n".join("".join(cell["source"]) for cell in notebook["cells"]))
    assert links and all((path.parent / link).is_file() for link in links if not link.startswith("http"))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the two files that the snippet opens."""
    clicks = "".join(f"u{u},{(u + n) % 12},{n}\n" for u in range(12) for n in range(5))
    (tmp_path / "clicks.csv").write_text(f"who,what,when\n{clicks}")
    (tmp_path / "products.csv").write_text("what,title\n" + "".join(f"{i},Title {i}\n" for i in range(12)))
    return tmp_path


def test_the_librarys_functions_run_in_a_kernel_whose_loop_is_running(shop: Path) -> None:
    quiet = [
        "import asyncio; assert asyncio.get_event_loop().is_running()",
        "whyrec.run('cot_rec.preference', data, llm='extractive', users=3, progress=False).complete",
    ]
    check = "assert more.id == run.id and len(run.results.to_pandas()) == 12 and len(model.recommend('u0', n=7)) == 7"
    lines = SNIPPET.strip().splitlines()
    shown = executed(nbformat.v4.new_notebook(cells=code(*lines, *quiet, check)), shop)
    by_line = dict(zip([*lines, *quiet], shown.values(), strict=False))
    assert "12 of 12" in by_line[lines[2]] and "<progress" in by_line[lines[2]], "a bar"
    assert "<table" in by_line[lines[6]] and "popularity" in by_line[lines[7]] and "95 % intervals" in by_line[lines[9]]
    assert by_line[quiet[1]] == "True", "no bar where it is not wanted"


def test_they_run_in_plain_python(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    plain = SNIPPET.replace("await whyrec.arun", "__import__('asyncio').run(whyrec.arun").rstrip() + ")\n"
    left: dict[str, object] = {}
    exec(compile(plain, "snippet", "exec"), left)
    assert "popularity" in capsys.readouterr().out and str(left["more"]) == str(left["run"])
