"""Who is refused: foreign names and origins, forms without their token, strangers without the address's token."""

from __future__ import annotations

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from whyrec.trace.labels import Labels
from whyrec.ui.app import build, routes
from whyrec.ui.safety import Door, is_loopback
from whyrec.ui.site import link
from whyrec.workbench.replay import Store

OURS = "http://127.0.0.1:8700"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8700", "127.0.0.1.evil.example", "", "a@127.0.0.1", "["]
)
def test_a_foreign_host_header_is_refused(client, host):
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 421 and "runs" not in answer.text.lower()


@pytest.mark.parametrize("host", ["127.0.0.1:8700", "localhost:8700", "localhost:9", "[::1]:8700"])
def test_names_of_this_machine_are_answered_at_any_forwarded_port(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


def test_every_answer_forbids_foreign_scripts_and_frames(client):
    for address in ("/", "/nothing", "/static/ui.js", "/diff?a=x&b=y"):
        headers = client.get(address).headers
        assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def replay(client: TestClient, stage, number: int, **form: str):
    headers = {name: form.pop(name) for name in ("origin", "sec-fetch-site") if name in form}
    headers.setdefault("origin", OURS)
    address = link("runs", stage.good, "calls", number, "replay")
    return client.post(address, data=form, headers=headers, follow_redirects=False)


def test_every_address_that_acts_asks_for_its_token(client, stage):
    acting = [route for route in routes() if isinstance(route, Route) and "POST" in (route.methods or ())]
    acts = {"/runs/{run}/calls/{call:int}/replay", "/runs/{run}/label", "/new", "/started", "/started/{name}/stop"}
    assert {route.path for route in acting} == acts
    before = _kept(stage)
    for route in acting:
        address = route.path.replace("{run}", stage.good).replace("{call:int}", "1").replace("{name}", "x")
        for form in ({"x": "1"}, {"call": "1", "verdict": "good", "acting": "guess"}):
            assert client.post(address, data=form, headers={"origin": OURS}).status_code == 403
    assert _kept(stage) == before


def _kept(stage):
    """Every label and everything started; other tests act on the same home."""
    home = stage.settings.home
    return Labels(home).history(stage.good), sorted(path.name for path in (home / "started").glob("*"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"acting": ""},
        {"acting": "guess"},
        {"acting": "gu\u00e9ss"},
    ],
)
def test_another_site_or_a_missing_token_replays_nothing(client, stage, door, numbers, wrong):
    number = numbers(stage.good)[0]
    store = Store(_reader(stage))
    before = len(store.all())
    form = {"acting": door.acting, "llm": "simulated:1", **wrong}
    assert replay(client, stage, number, **form).status_code == 403
    assert len(store.all()) == before


def test_images_and_scripts_of_other_sites_are_told_nothing_but_a_link_may_be_followed(client):
    foreign = {"sec-fetch-site": "cross-site"}
    assert client.get("/", headers={**foreign, "sec-fetch-mode": "no-cors"}).status_code == 403
    assert client.get("/", headers={**foreign, "sec-fetch-mode": "navigate"}).status_code == 200


def test_too_large_a_form_is_not_read(client, stage, door):
    answer = replay(client, stage, 1, acting=door.acting, message0="x" * 4_100_000)
    assert answer.status_code == 403


def test_elsewhere_than_on_loopback_the_address_token_is_asked_for_once(stage):
    door = Door.at("0.0.0.0", 8700)
    assert door.entry and f"?token={door.entry}" in door.address
    client = TestClient(build(stage.settings, door), base_url="http://10.1.2.3:8700")
    assert client.get("/").status_code == 401 and client.get("/?token=guess").status_code == 401
    assert client.get("/static/ui.css").status_code == 401
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    entered = client.get(f"/diff?a=1&token={door.entry}", follow_redirects=False)
    assert entered.status_code == 303 and entered.headers["location"] == "/diff?a=1"
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert client.get("/").status_code == 200
    assert not Door.at("127.0.0.1", 8700).entry and not Door.at("localhost", 1).entry
    assert is_loopback("::1") and not is_loopback("192.168.0.1") and not is_loopback("evil.example")


def _reader(stage):
    from whyrec.runs import open_run

    return open_run(stage.settings.home, stage.good)
