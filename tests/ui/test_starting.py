"""Runs started from the page: estimated first, under a budget, as processes that outlive it and can be stopped."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import Settings
from whyrec.ui.app import build
from whyrec.ui.safety import Door
from whyrec.ui.site import link
from whyrec.ui.started import Processes, Started, read_wish

OURS = {"origin": "http://127.0.0.1:8700"}
FORM = {"graph": "cot_rec.preference", "data": "world:users=6,items=40", "llm": "extractive", "users": "3"}
GRAPHS = ("cot_rec.preference",)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path / "home", data=(tmp_path,))


@pytest.fixture
def send(settings) -> Iterator[object]:
    door = Door()
    with TestClient(build(settings, door), base_url="http://127.0.0.1:8700", raise_server_exceptions=False) as client:

        def sending(address, form=None):
            if form is None:
                return client.get(address)
            return client.post(address, data={"acting": door.acting, **form}, headers=OURS, follow_redirects=False)

        yield sending


def wait(condition, seconds: float = 120.0):
    """What a condition comes to once it holds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.2)
    return found


def test_a_run_is_estimated_started_watched_and_outlives_the_page(settings, send):
    form = send("/new?graph=cot_rec.preference&data=world").text
    assert '<option value="cot_rec.preference" selected>' in form and 'value="world"' in form
    told = send("/new", FORM)
    assert told.status_code == 200 and "What it would take" in told.text and "<b>3</b>" in told.text
    assert not (settings.home / "started").exists(), "an estimate starts nothing"
    (calls,) = re.findall(r'name="budget_calls" value="(\d+)"', told.text)
    assert int(calls) >= 3
    begun = send("/started", {**FORM, "budget_calls": calls})
    assert begun.status_code == 303, html.unescape(begun.text)
    address = begun.headers["location"]
    another = Processes(settings)  # as another server over the same home sees it
    (one,) = another.all()
    assert "--budget-calls=" in one.command and "Stop it" in send(address).text
    wait(lambda: not another.alive(one) or "Watch it" in send(address).text)
    wait(lambda: "its process has ended" in send(address).text)
    said = html.unescape(send(address).text)
    assert "3 examples = 3 done" in said and "Watch it" in said and '<span class="run-id">cot_rec.preference' in said
    assert "cot_rec.preference" in send("/").text and "Started here" in send("/new").text
    stopped = send(f"{address}/stop", {})
    assert stopped.status_code == 303, "what has ended is left in peace"


def test_a_run_is_stopped_in_order(settings):
    processes = Processes(settings)
    form = {**FORM, "data": "world:users=3000,items=200", "users": "", "budget_calls": "100000"}
    one = processes.start(read_wish(form, GRAPHS))
    wait(lambda: list(settings.home.glob("runs/*/run.sqlite")) or not processes.alive(one))
    assert processes.alive(one) and processes.stop(one)
    wait(lambda: not processes.alive(one))
    assert "examples" in processes.output(one) and not processes.stop(one)
    assert "Traceback" not in processes.output(one)


def test_a_number_that_another_process_has_now_is_never_signalled(settings):
    import os

    processes = Processes(settings)
    mine = Started("20260101-000000-1", "whyrec run", os.getpid(), "1", 0.0)
    assert not processes.alive(mine) and not processes.stop(mine)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"graph": "--help"}, "no graph"),
        ({"data": ""}, "which data"),
        ({"llm": "a\nb"}, "which model"),
        ({"users": "-3"}, "at least 1"),
        ({"users": "many"}, "at least 1"),
        ({"options": "--new"}, "key=value"),
        ({"budget_usd": "nan"}, "US dollars"),
        ({"budget_usd": "-1"}, "US dollars"),
    ],
)
def test_a_form_that_cannot_be_used_says_so(send, settings, change, said):
    with pytest.raises((UsageError, UnknownNameError), match=said):
        read_wish({**FORM, **change}, GRAPHS)
    answer = send("/started", {**FORM, "budget_calls": "9", **change})
    assert answer.status_code == 400 and said in html.unescape(answer.text)
    assert not (settings.home / "started").exists()


def test_no_value_is_taken_for_an_option_and_nothing_starts_without_a_budget(send, settings):
    wish = read_wish({**FORM, "data": "--new", "llm": "-y", "options": "batch=5\n\nmode=loop"}, GRAPHS)
    assert wish.arguments() == [
        "cot_rec.preference", "--data=--new", "--llm=-y", "--users=3", "--option=batch=5", "--option=mode=loop",
    ]  # fmt: skip
    answer = send("/started", FORM)
    assert answer.status_code == 400 and "needs a budget" in answer.text
    assert not (settings.home / "started").exists()


def test_what_the_estimate_refuses_is_said(send):
    answer = send("/new", {**FORM, "data": "nowhere"})
    assert answer.status_code == 400 and "nowhere" in html.unescape(answer.text)
    assert "There is no run started here" in html.unescape(send(link("started", "20200101-000000-1")).text)
