"""whyrec as a library: what `import whyrec` promises, over the generated world."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import whyrec
from whyrec.api.data import Data
from whyrec.errors import UnknownNameError, UsageError

WORLD = "world:users=60,items=120"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WHYREC_LLM", "extractive")
    return tmp_path / "home"


@pytest.fixture
def data(home: Path) -> Data:
    return whyrec.load_data(WORLD)


def test_importing_costs_nothing_and_every_public_name_is_there() -> None:
    code = (
        "import sys, whyrec; assert not {'torch', 'polars', 'langgraph', 'pydantic'} & set(sys.modules), 'heavy'; "
        "[getattr(whyrec, name) for name in whyrec.__all__]; assert set(whyrec.__all__) <= set(dir(whyrec))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        whyrec.nothing  # noqa: B018


def test_a_run_is_made_read_and_gone_on_with(data: Data) -> None:
    run = whyrec.run("cot_rec.preference", data, users=3)
    assert run.complete and len(run.results) == 3 and run.cost.calls == len(run.calls) > 0
    assert {result.status for result in run.results} == {"done"}
    frame = run.results.to_polars()
    assert frame.height == 3 and {"key", "user", "status", "text"} <= set(frame.columns)
    more = whyrec.run("cot_rec.preference", data, users=5)
    assert more.id == run.id and len(more.results) == 5
    assert whyrec.open_run().id == run.id and [one.id for one in whyrec.list_runs()] == [run.id]
    assert run.info["data"] == WORLD and run.answers.endswith("usable")


def test_an_example_shows_its_calls_and_its_result(data: Data) -> None:
    run = whyrec.run("cot_rec.preference", data, users=2)
    shown = run.show("u0")
    assert shown.key == "test/u0" and shown.said[0].node == "summarise" and shown.result is not None
    assert shown.said[0].messages[0].role == "system" and shown.said[0].answer in str(shown)
    assert run.calls.where(user="u0").to_polars().height == len(shown.said)
    with pytest.raises(UnknownNameError, match="test/u0"):
        run.show("nobody")


def test_run_works_inside_a_running_loop_and_arun_outside_of_one(data: Data) -> None:
    async def notebook() -> tuple[whyrec.Run, whyrec.Run]:
        return whyrec.run("cot_rec.preference", data, users=2), await whyrec.arun("cot_rec.preference", data, users=4)

    one, other = asyncio.run(notebook())
    assert one.id == other.id and len(other.results) == 4


def test_a_run_is_estimated_as_it_would_be_run(data: Data) -> None:
    expected = whyrec.estimate("cot_rec.preference", data, users=4)
    assert expected.examples == 4 and whyrec.run("cot_rec.preference", data, users=4).cost.calls <= expected.most


def test_options_roles_and_typos_are_said(data: Data) -> None:
    run = whyrec.run("cot_rec.preference", data, users=2, options={"batch": 4, "overlap": 1}, split="valid")
    assert all(result.key.startswith("valid/") for result in run.results)
    with pytest.raises(UnknownNameError, match="batch"):
        whyrec.run("cot_rec.preference", data, options={"bath": 4})
    with pytest.raises(UnknownNameError, match=r"argument of whyrec\.run"):
        whyrec.run("cot_rec.preference", data, user=4)  # type: ignore[call-arg]
    with pytest.raises(UnknownNameError, match=r"cot_rec\.preference"):
        whyrec.run("cot_rec.preferences", data)


def test_a_budget_warns_and_the_same_call_goes_on(data: Data) -> None:
    with pytest.warns(UserWarning, match="of 6 examples are done"):
        short = whyrec.run("cot_rec.preference", data, users=6, budget_calls=3)
    assert not short.complete and short.cost.calls == 3
    assert whyrec.run("cot_rec.preference", data, users=6).complete


def test_no_server_is_an_error_that_keeps_the_run(data: Data) -> None:
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:9"):
        whyrec.run("cot_rec.preference", data, users=1, llm="openai:m@http://127.0.0.1:9/v1")


def test_a_model_is_fitted_kept_and_asked(data: Data) -> None:
    described = whyrec.run("cot_rec.describe", data)
    model = whyrec.fit("sasrec", data, items=described, epochs=2)
    assert described.id in model.about["items"]
    found = model.recommend("u0", n=3)
    history = {event.item.id for event in data.history("u0")}
    assert len(found) == 3 and not history & {one.item.id for one in found}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    again = whyrec.open_model(model.name)
    assert again.recommend("u0", n=3) == found and again.evaluate("valid") == model.evaluate("valid")
    assert whyrec.fit("sasrec", data, items=described, epochs=2).name == model.name


def test_a_history_need_not_be_a_users_and_counting_models_are_kept_too(data: Data) -> None:
    model = whyrec.fit("itemcf", data)
    ids = data.items["id"].to_list()
    assert len(whyrec.open_model("itemcf").recommend(ids[:2], n=4)) == 4 == len(model.recommend(ids[:2], n=4))
    with pytest.raises(UnknownNameError, match="item named 'nothing'"):
        model.recommend(["nothing"])
    with pytest.raises(UnknownNameError, match="user named 'nobody'"):
        model.recommend("nobody")
    with pytest.raises(UsageError, match="empty"):
        model.recommend([])
    with pytest.raises(UsageError, match="to recommend"):
        model.recommend(ids[:2], n=1000)


def test_items_may_start_from_texts_and_vectors_of_the_right_number(data: Data) -> None:
    vectors = np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32)
    assert whyrec.fit("sasrec", data, items=vectors, epochs=1).about["items"] == "given vectors"
    with pytest.raises(UsageError, match="120 items; 3 texts"):
        whyrec.fit("sasrec", data, items=["a", "b", "c"])
    with pytest.raises(UnknownNameError, match="caption"):
        whyrec.fit("sasrec", data, items="captions")  # type: ignore[arg-type]
    run = whyrec.run("cot_rec.preference", data, users=1)
    with pytest.raises(UsageError, match=r"a run of cot_rec\.describe"):
        whyrec.fit("sasrec", data, items=run)


def test_a_model_of_other_data_is_refused(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "clicks.csv"
    file.write_text("u,i,t\n" + "".join(f"u{u},{i},{i}\n" for u in range(5) for i in range(4)))
    model = whyrec.fit("popularity", f"{file}?user=u&item=i&time=t")
    file.write_text(file.read_text() + "u9,7,1\nu9,8,2\nu9,9,3\n")
    with pytest.raises(UsageError, match="Train it again"):
        whyrec.open_model(model.name)


def test_tables_are_computed_shown_and_read(data: Data) -> None:
    table = whyrec.evaluate("cot_rec.table_1", data, cells="popularity;item-CF", progress=False)
    frame = table.to_polars()
    assert frame.height == 2 and "item-CF" in table.markdown() and "<table>" in table._repr_html_()


def test_runs_are_compared_example_by_example(data: Data) -> None:
    plain = {"rationales": "none"}
    one = whyrec.run("pulse.choose", data, users=10, options=plain)
    two = whyrec.run("pulse.choose", data, users=10, options=plain, seed=1)
    found = whyrec.compare(one, two)
    rows = {row["measure"]: row for row in found.to_polars().iter_rows(named=True)}
    assert rows["hr@1"]["n"] == 10 and rows["examples done"]["difference"] == 0.0
    with pytest.raises(UsageError, match="named twice"):
        whyrec.compare(one, one)
    with pytest.raises(UsageError, match="not of the same graph"):
        whyrec.compare(one, whyrec.run("cot_rec.preference", data, users=2))


def test_tables_in_memory_are_data_that_can_be_gone_on_with(home: Path) -> None:
    clicks = pl.DataFrame({"who": ["a"] * 4 + ["b"] * 4, "what": ["x", "y", "z", "w"] * 2, "at": list(range(8))})
    things = pl.DataFrame({"id": ["x", "y", "z", "w"], "title": ["X-ray", "Yam", "Zebra", "Wool"]})
    data = whyrec.load_data(clicks, user="who", item="what", time="at", items=things)
    assert [event.item.title for event in data.history("a")] == ["X-ray", "Yam", "Zebra"]
    again = whyrec.load_data(data.name)
    assert again.digest == data.digest and data.users == ["a", "b"]
    with pytest.raises(UsageError, match="not a dict"):
        whyrec.load_data({"who": []})


def test_objects_show_themselves_and_escape_what_they_show(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text("u,i,t,n\n" + "".join(f"u{u},{i},{i},<script>{i}\n" for u in range(3) for i in range(4)))
    data = whyrec.load_data(file, user="u", item="i", time="t", title="n")
    run = whyrec.run("cot_rec.preference", data)
    shown = [data._repr_html_(), run._repr_html_(), run.results._repr_html_(), run.show("u0")._repr_html_()]
    assert all("<script>" not in one for one in shown) and "&lt;script&gt;" in shown[0]
    assert repr(run).startswith(f"<{run.id}: 3 done") and repr(data).startswith("<")
