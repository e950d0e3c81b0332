"""Every page in a real Chromium: open, search, deep link, keys, replay, compare, a live run, dark, phone, strangers.

A page that logs an error or a broken policy, or is wider than its window, fails. Skips where playwright or Chromium is
not there.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from graphs.run import How, run
from whyrec.data import load, open_data
from whyrec.data.text import captions
from whyrec.embed import open_embedder
from whyrec.embed.store import VectorStore
from whyrec.llm.built_in.simulated.model import Simulated
from whyrec.runs import open_run
from whyrec.ui.app import build
from whyrec.ui.safety import Door
from whyrec.ui.serving import listen
from whyrec.ui.site import link

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed (apt-get install chromium)")


@dataclass
class Window:
    """A page in the browser, with everything it complained about."""

    page: Any
    base: str
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str) -> Any:
        self.page.goto(self.base + address)
        return self.page

    def whole(self) -> None:
        """Nothing complained, no program of a stranger ran, and nothing is wider than the window."""
        assert self.complaints == []
        assert self.page.evaluate("window.hacked") is None
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        window = self.page.viewport_size["width"]  # innerWidth of a phone grows with the page
        assert wide <= window, f"{self.page.url} is {wide} wide, the window {window}"


@pytest.fixture(scope="module")
def base(stage) -> Iterator[str]:
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    app = build(stage.settings, Door.at("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def window(browser, base) -> Iterator[Any]:
    opened = []

    def make(**how: Any) -> Window:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **how})
        context.set_default_timeout(30_000)
        window = Window(context.new_page(), base)
        window.page.on("console", lambda m: window.complaints.append(m.text) if m.type in ("error", "warning") else 0)
        window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
        opened.append(context)
        return window

    yield make
    for context in opened:
        context.close()


@pytest.fixture(scope="module")
def first(stage, shaped) -> dict[str, str]:
    """The first example's page of each run of another shape."""
    found = {}
    for graph, run_id in shaped.items():
        with closing(open_run(stage.settings.home, run_id)) as opened:
            found[graph] = link("runs", run_id, "examples", next(opened.results("done")).key)
    return found


@pytest.fixture(scope="module")
def collection(stage) -> str:
    """Vectors with ids as long as a web address."""
    corpus = load("world:users=12,items=40,seed=5", settings=stage.settings)
    texts = captions(corpus)
    embedder = open_embedder("lsa", fit_on=texts, cache=stage.settings.home / "embedders")
    with closing(VectorStore(stage.settings.home / "vectors")) as store:
        ids = [f"https://shop.example/a/very/long/address/of/an/item/{n:0120}" for n in range(len(texts))]
        store.put("items.long", ids=ids, texts=[text * 9 for text in texts], embedder=embedder, about="items")
    return link("vectors", collection="items.long", text=texts[0].split()[0])


def addresses(stage, numbers, first, collection) -> list[str]:
    call = numbers(stage.evil, "user='s1'")[0]
    return [
        *first.values(),
        collection,
        "/",
        link("runs", stage.good),
        link("runs", stage.evil),
        link("runs", stage.evil, "calls"),
        f"{link('runs', stage.evil, 'calls', call)}?state=1",
        link("runs", stage.evil, "examples", "test/s1"),
        link("diff", a=f"{stage.good}/u3", b=f"{stage.poor}/u3"),
        link("diff", a=stage.good, b=stage.poor, test=1),
        "/diff",
        "/?sort=calls",
        "/new?graph=pulse.refine&data=world",
        f"{link('runs', stage.good)}?worth=1",
        "/prompts",
        "/prompts/cot_rec/merge_preference",
        "/results",
        "/results/project/cot_rec.table_1.amazon14_beauty",
        "/vectors",
        link("runs", stage.good, "calls", numbers(stage.good)[0]),
    ]


PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1, "is_mobile": True}


@pytest.mark.parametrize(
    "how",
    [{}, {"color_scheme": "dark"}, {"color_scheme": "dark", **PHONE}, PHONE],
    ids=["desk", "desk in the dark", "phone in the dark", "phone"],
)
def test_every_page_opens_whole(window, stage, numbers, first, collection, how):
    here = window(**how)
    dark = "color_scheme" in how
    for address in addresses(stage, numbers, first, collection):
        page = here.open(address)
        assert page.locator("h1, form.filters").first.is_visible()
        back = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", back)[:3])) > 380
        assert light != dark, f"{address} is {back}"
        here.whole()
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        here.whole()


@pytest.mark.parametrize("how", [{}, PHONE], ids=["desk", "phone"])
def test_short_words_are_not_broken_into_letters(window, stage, how):
    here = window(**how)
    page = here.open(link("runs", stage.good))
    for words in ('a:text-is("calls")', 'a:text-is("test/u3")'):
        assert page.locator(f"#live table {words}").first.bounding_box()["height"] < 30
    here.open("/prompts")
    assert page.locator('a:text-is("cot_rec/merge_preference")').bounding_box()["height"] < 30
    here.open("/results")
    assert page.locator("#projects-results td", has_text="amazon14_beauty").first.bounding_box()["height"] < 70


def test_a_wide_table_says_that_there_is_more_until_it_was_seen(window):
    page = window(**PHONE).open("/results/project/cot_rec.table_1.amazon14_beauty")
    hint = page.locator(".more-right").first
    assert hint.is_visible()
    page.locator(".scroll").first.evaluate("(box) => { box.scrollLeft = box.scrollWidth; }")
    hint.wait_for(state="hidden")


def test_a_result_is_drawn_and_never_a_dump(window, first):
    here = window()
    page = here.open(first["pulse.refine"])
    for address in first.values():
        here.open(address)
        assert page.locator("#result").bounding_box()["height"] < 2500, address
        assert page.locator("#result details.json pre").is_hidden()
    here.open(first["pulse.refine"])
    stars = page.locator("#result .taken .star")
    assert stars.count() >= 2 and all(star.is_visible() for star in stars.all()), "the way to a choice stands open"
    assert page.locator("#result .score.best").first.is_visible()
    here.open(first["cot_rec.recommend"])
    ranking = page.locator("#ranking tbody tr")
    assert ranking.count() == 10 and len(ranking.first.locator("td.title").inner_text()) > 10
    here.open(first["scoter.distil"])
    assert page.locator("#result .chain .planned", has_text="Analyze").first.is_visible()
    here.open(first["rallrec.predict"])
    assert page.locator("#result svg.bar").count() > 4
    here.whole()


def test_json_is_copied_and_downloaded(window, first):
    here = window(permissions=["clipboard-read", "clipboard-write"])
    page = here.open(first["cot_rec.recommend"])
    page.click("details.json summary")
    page.click("button[data-copy]")
    page.locator('button:text-is("Copied")').wait_for()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    with page.expect_download() as started:
        page.click("details.json a[download]")
    assert json.loads(Path(started.value.path()).read_text()) == copied and len(copied["ranking"]) == 10
    here.whole()


def test_three_clicks_lead_from_the_runs_to_a_users_prompt(window, stage, numbers):
    here = window()
    page = here.open("/")
    page.click(f'a[href="/runs/{stage.good}/calls"]')
    page.click('td.key a:text-is("u3")')
    page.click("p.made a >> nth=0")
    number = numbers(stage.good, "user='u3'")[0]
    assert page.url.endswith(f"/calls/{number}") and page.locator(".message.user .data").first.is_visible()
    here.whole()


def test_keys_walk_search_and_open(window, stage):
    here = window()
    page = here.open("/")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    row = page.locator("tr.here a").first.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{row}")
    page.keyboard.press("/")
    page.keyboard.type("boots")
    page.keyboard.press("Enter")
    page.wait_for_url("**text=boots*")
    assert page.url.endswith("/calls?text=boots"), "what is empty is not in the address"
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/calls/\d+$"))
    following = page.locator("a[rel=next]").get_attribute("href")
    page.keyboard.press("]")
    page.wait_for_url(f"**{following}")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark", "the switch is kept"
    here.whole()


def test_a_call_is_edited_and_sent_again_in_place(window, stage, numbers):
    here = window()
    page = here.open(link("runs", stage.good, "calls", numbers(stage.good)[1]))
    page.keyboard.press("e")
    box = page.locator('textarea[name="message0"]')
    box.fill(box.input_value().replace("Be specific", "Speak in one breath"))
    page.fill('input[name="llm"]', "simulated:0.3")
    page.click("#again button.main")
    page.wait_for_url(re.compile("#replay-"))
    replay = page.locator("article.replay").first
    assert replay.locator("ins", has_text="Speak in one breath").is_visible()
    assert replay.locator(".side > div").count() == 2
    here.whole()


def test_a_call_is_labelled_with_a_key_and_filtered_by_it(window, stage, numbers):
    here = window(**PHONE)
    number = numbers(stage.poor)[0]
    page = here.open(link("runs", stage.poor, "calls", number))
    page.fill('form.label input[name="note"]', "worth a look")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.locator("span.label.good").wait_for()
    assert page.locator("form.label", has_text="worth a look").is_visible()
    here.whole()
    here.open(link("runs", stage.poor, "calls", label="good"))
    assert page.locator("tr[data-row]").count() == 1 and page.locator("tr span.label.good").is_visible()
    with page.expect_download() as started:
        page.click("text=Save these as data")
    assert "messages" in Path(started.value.path()).read_text()
    here.whole()
    (stage.settings.home / "labels.sqlite").unlink()


def test_two_ticked_runs_are_compared(window, stage):
    here = window()
    page = here.open("/")
    page.check(f'input[value="{stage.good}"]')
    page.check(f'input[value="{stage.poor}"]')
    page.click("text=Compare ticked")
    page.wait_for_url("**/diff?a=*")
    assert page.locator("del", has_text="simulated").first.is_visible()
    here.whole()


def test_two_runs_are_picked_and_a_list_is_sorted_by_its_heads(window, stage):
    here = window()
    page = here.open("/diff")
    page.select_option('select[name="a"]', stage.good)
    page.select_option('select[name="b"]', stage.poor)
    page.click("text=Compare the runs")
    page.wait_for_url("**/diff?a=*")
    assert page.locator("del", has_text="simulated").first.is_visible()
    here.open("/")
    page.click('#runs th a:text-is("calls")')
    page.wait_for_url("**sort=calls*")
    page.click("#runs th[aria-sort] a")
    page.wait_for_url("**desc=0*")
    page.select_option('select[name="model"]', "simulated:0.3")
    page.click('button:text-is("Filter")')
    page.wait_for_url("**model=simulated*")
    assert page.locator("tr[data-row]").count() == 1
    here.whole()


def test_a_run_is_started_from_the_page_and_watched(window, stage):
    here = window(**PHONE)
    page = here.open("/")
    page.click("text=New run")
    page.select_option('select[name="graph"]', "cot_rec.preference")
    page.fill('input[name="data"]', "world:users=6,items=40,seed=9")
    page.fill('input[name="llm"]', "extractive")
    page.fill('input[name="users"]', "4")
    page.click('button:text-is("Estimate")')
    page.locator("#estimate").wait_for(timeout=120_000)
    here.whole()
    page.click('button:text-is("Start")')
    page.wait_for_url("**/started/*")
    page.locator("text=Watch it").wait_for(timeout=120_000)
    page.locator("text=its process has ended").wait_for(timeout=120_000)
    here.whole()
    page.click("text=Watch it")
    page.locator("span.state.done").first.wait_for()
    here.whole()


def test_a_run_is_followed_while_it_goes_on(window, stage):
    data = "world:users=14,items=80,seed=5"
    world = open_data(data, settings=stage.settings)

    class Slow(Simulated):
        async def complete(self, request: Any) -> Any:
            await asyncio.sleep(0.4)
            return await super().complete(request)

    how = How(settings=stage.settings, world=world.world, concurrency=2)
    doing = run("cot_rec.preference", corpus=world.data, model=Slow(world.world, 1.0), how=how)
    thread = threading.Thread(target=asyncio.run, args=(doing,))
    here = window()
    thread.start()
    try:
        page = here.open("/")
        row = page.locator("tr", has_text="users=14").first
        for _ in range(40):
            if row.count():
                break
            page.wait_for_timeout(100)
            page.reload()
        row.locator("a").first.click()
        page.evaluate("window.same = true")
        page.locator("span.state.running").wait_for()
        before = page.locator(".numbers b").nth(1).inner_text()
        page.locator("span.state.done").wait_for(timeout=60_000)
        assert int(page.locator(".numbers b").nth(1).inner_text()) > int(before)
        assert page.evaluate("window.same"), "the page was not loaded anew"
        here.whole()
    finally:
        thread.join(60)
