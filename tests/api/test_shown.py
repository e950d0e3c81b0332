"""What objects show of themselves in a notebook: told in full, escaped, and without anything from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest

import whyrec
from whyrec.api import bars
from whyrec.api.data import Data
from whyrec.errors import UnknownNameError, UsageError

WORLD = "world:users=60,items=120"
EVIL = "<img src=x onerror=alert(1)>'\"&"
CHOOSE: dict[str, Any] = {"llm": "simulated:0.8", "options": {"selector": "none"}, "progress": False}
_VOID = {"path", "rect"}  # SVG's, closed by their slash


class Page(HTMLParser):
    """The tags of some HTML, whether they are closed in order, and what might act."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.acting: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"{self.open} stay open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._see(tag, attrs)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._see(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another"

    def _see(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.acting += [tag] if tag in ("script", "img", "iframe", "a", "link", "object") else []
        self.acting += [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHYREC_LLM", "extractive")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def evil(tmp_path: Path) -> Data:
    """A shop whose titles, brands, items and users are markup."""
    rows = [f'"{u}{EVIL.replace(chr(34), chr(34) * 2)}",{i},{i},"{i}{EVIL.replace(chr(34), chr(34) * 2)}"'
            for u in range(4) for i in range(5)]  # fmt: skip
    (tmp_path / "c.csv").write_text("\n".join(["u,i,t,n", *rows]) + "\n")
    return whyrec.load_data("c.csv", user="u", item="i", time="t", title="n")


def test_markup_of_the_data_never_acts(evil: Data) -> None:
    run = whyrec.run("cot_rec.preference", evil, progress=False)
    described = whyrec.run("cot_rec.describe", evil, progress=False)
    model = whyrec.fit("itemcf", evil)
    compared = whyrec.compare(run, whyrec.run("cot_rec.preference", evil, seed=1, progress=False), names=[EVIL, "b"])
    table = whyrec.evaluate("cot_rec.table_1", evil, cells="popularity", progress=False)
    shown: list[Any] = [evil, run, run.results, run.show(evil.users[0]), described, model]
    shown += [model.recommend(evil.users[0], n=1, seen=True), compared, table]
    for one in shown:
        assert not Page(one._repr_html_()).acting, one
    assert "&lt;img" in evil._repr_html_() and "&lt;img" in compared._repr_html_()


def test_every_graph_is_drawn_without_network() -> None:
    for graph in whyrec.list_graphs():
        html = graph._repr_html_()
        page = Page(html)
        assert not page.acting and "svg" in page.tags and "http" not in html
        assert page.tags.count("rect") == len(graph.nodes) + 2
        assert all(f">{node}</text>" in html for node in graph.nodes)
    preference = whyrec.open_graph("cot_rec.preference")
    assert "summarise" in preference.nodes and "batch" in preference.options["option"].to_list()
    assert "cot_rec/summarise_batch" in preference.prompts and "summarise" in preference.mermaid()
    assert (
        "RNN" in preference.explained
        and "spec" not in preference.explained
        and repr(preference).startswith("<cot_rec.preference: ")
    )
    assert not Page(whyrec.list_graphs()._repr_html_()).acting
    with pytest.raises(UnknownNameError, match=r"cot_rec\.preference"):
        whyrec.open_graph("cot_rec.preferences")


def test_a_prompt_is_edited_kept_and_run() -> None:
    prompt = whyrec.open_prompt("pulse/choose")
    edited = prompt.edit("Answer with the letter", "Think of what was rated best. Answer with the letter")
    assert edited.version != prompt.version and edited.name == prompt.name and "rated best" not in prompt.text
    assert whyrec.open_prompt(edited.save("mine.md")).version == edited.version
    assert prompt.name in {one.name for one in whyrec.list_prompts()}
    assert not Page(prompt._repr_html_()).acting and "&lt;history&gt;" in prompt._repr_html_()
    data = whyrec.load_data(WORLD)
    run = whyrec.run("pulse.choose", data, users=4, prompts=[edited], **CHOOSE)
    assert "rated best" in run.show("u0").said[0].messages[-1].content
    assert whyrec.run("pulse.choose", data, users=4, prompts=["mine.md"], **CHOOSE).id == run.id


def test_an_edit_that_changes_nothing_or_too_much_is_refused() -> None:
    prompt = whyrec.open_prompt("pulse/choose")
    with pytest.raises(UsageError, match="are not there"):
        prompt.edit("no such words", "others")
    with pytest.raises(UsageError, match="stand there 2 times"):
        prompt.edit("history>", "past>")
    with pytest.raises(UsageError, match="answer"):
        prompt.edit("answer: Choice", "answer: Rationale")
    with pytest.raises(UnknownNameError, match="pulse/choose"):
        whyrec.open_prompt("pulse/chose")
    with pytest.raises(UsageError, match="same prompt"):
        whyrec.run("pulse.choose", WORLD, prompts=[prompt, prompt], **CHOOSE)


def test_a_comparison_says_no_more_than_its_interval() -> None:
    data = whyrec.load_data(WORLD)
    weak = whyrec.run("pulse.choose", data, **{**CHOOSE, "llm": "simulated:0"})
    strong = whyrec.run("pulse.choose", data, **{**CHOOSE, "llm": "simulated:1"})
    same = whyrec.run("pulse.choose", data, seed=1, **{**CHOOSE, "llm": "simulated:1"})
    clear = whyrec.compare(weak, strong, names=["weak", "strong"])
    assert "strong minus weak" in clear.says[0] and "A difference is shown: the interval lies above 0" in clear.says[0]
    frame = clear.to_polars()
    low, high = frame.row(0, named=True)["low"], frame.row(0, named=True)["high"]
    assert (
        0 < low < high
        and f"[{low:+.3f}, {high:+.3f}]" in clear.says[0]
        and escape(clear.says[0]) in clear._repr_html_()
    )
    assert all("the same in all" in line for line in whyrec.compare(strong, same).says)  # at quality 1 draws agree
    third = whyrec.run("pulse.choose", data, seed=2, **{**CHOOSE, "llm": "simulated:0"})
    assert "adjusted for 2 comparisons" in whyrec.compare(weak, strong, third, names=["a", "b", "c"]).says[0]
    assert "no difference is shown" in whyrec.compare(weak, third).says[0]
    with pytest.raises(UsageError, match="2 runs are called by as many different names"):
        whyrec.compare(weak, strong, names=["one"])


def test_results_and_calls_are_tables_of_pandas() -> None:
    run = whyrec.run("cot_rec.preference", WORLD, users=3, progress=False)
    for frame, rows in ((run.results.to_pandas(), 3), (run.calls.to_pandas(), len(run.calls))):
        assert isinstance(frame, pandas.DataFrame) and len(frame) == rows
    assert run.results["u0"].payload["text"][:20] in run.results._repr_html_()


def test_a_bar_in_a_notebook_replaces_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    class Handle:
        def update(self, shown: dict[str, str], *, raw: bool) -> None:
            drawn.append(shown["text/html"])

    def display(shown: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw and display_id
        drawn.append(shown["text/html"])
        return Handle()

    def found() -> Callable[..., Any]:
        return display

    monkeypatch.setattr(bars, "_notebook", found)
    with bars.bar(True) as tell:
        assert tell is not None
        for done in range(1, 1001):
            tell("<b>a run</b>", done, 1000)
    assert "1,000 of 1,000" in drawn[-1] and len(drawn) < 1000 and not set(Page(drawn[-1]).tags) & {"b"}
    with bars.bar(False) as tell:
        assert tell is None
    said = bars.lines(True)
    said("one")
    said("two")
    assert [re.sub("<[^>]*>", "", one) for one in drawn[-2:]] == ["one", "two"]


def test_where_nobody_looks_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    whyrec.run("cot_rec.preference", WORLD, users=2)
    whyrec.fit("sasrec", WORLD, epochs=1)
    captured = capsys.readouterr()
    assert not captured.out and not captured.err
