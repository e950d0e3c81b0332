"""Edit and send again: what is edited is what is sent, and what costs money says so first."""

from __future__ import annotations

import html
import re

import pytest

from whyrec.llm.built_in.scripted import Scripted
from whyrec.runs import open_run
from whyrec.ui.site import link
from whyrec.workbench import replay as bench
from whyrec.workbench.asked import asked

OURS = {"origin": "http://127.0.0.1:8700"}


@pytest.fixture
def send(client, stage, door):
    def sending(number, **form):
        address = link("runs", stage.good, "calls", number, "replay")
        given = {"acting": door.acting, **form}
        return client.post(address, data=given, headers=OURS, follow_redirects=False)

    return sending


def test_an_edited_message_and_another_model_stand_beside_the_original(client, stage, numbers, send):
    number = numbers(stage.good)[0]
    run = open_run(stage.settings.home, stage.good)
    before = run.path.read_bytes()
    messages = asked(run, number).request.messages
    edited = messages[0].content.replace("Be specific", "Answer in one sentence").replace("\n", "\r\n")
    form = {"message0": edited, "message1": messages[1].content, "llm": "simulated:0.3", "temperature": "0.9"}
    answer = send(number, **form)
    assert answer.status_code == 303, answer.text
    kept = bench.Store(run).all(call=number)[-1]
    assert answer.headers["location"].endswith(f"#replay-{kept.id}")
    assert "in one sentence" in kept.messages[0].content and "\r" not in kept.messages[0].content
    assert kept.messages[1] == messages[1] and kept.model == "simulated:0.3"
    assert kept.change["sampling"] == {"temperature": 0.9}
    said = client.get(link("runs", stage.good, "calls", number)).text
    assert "<del>Be specific</del><ins>Answer in one sentence</ins>" in said and f'id="replay-{kept.id}"' in said
    assert run.path.read_bytes() == before


def test_the_same_question_again_is_kept_as_the_same_words(client, stage, numbers, send):
    number = numbers(stage.good)[2]
    assert send(number).status_code == 303
    said = client.get(link("runs", stage.good, "calls", number)).text
    assert "The same words." in said and "simulated:1" in said


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"temperature": "hot"}, "is a number"),
        ({"times": "1000"}, "1 to 20 times"),
        ({"llm": "nobody:x"}, "nobody"),
    ],
)
def test_what_cannot_be_sent_is_said_and_what_was_written_stays(stage, numbers, send, form, said):
    wrote = '\n Say it "otherwise" </textarea><b>now</b>\n'
    answer = send(numbers(stage.good)[0], message0=wrote, **form)
    assert answer.status_code == 400 and said in html.unescape(answer.text)
    assert '<details id="again" class="again" open>' in answer.text and "</textarea><b>" not in answer.text
    kept = re.findall(r'<textarea name="message0"[^>]*>\n(.*?)</textarea>', answer.text, re.DOTALL)[0]
    assert html.unescape(kept) == wrote
    for name, value in form.items():
        assert re.search(rf'name="{name}" value="{value}"', answer.text)


def test_a_paid_model_names_its_price_and_waits_for_yes(stage, numbers, send, monkeypatch):
    number = numbers(stage.good)[0]
    model = Scripted(lambda request, sample: "Yes.")
    model.name = "openai:gpt-4o"
    monkeypatch.setattr(bench, "open_provider", lambda name, **_: model)
    form = {"llm": "openai:gpt-4o", "message0": 'Say yes.\n"quoted" </textarea><script>'}
    asked_first = send(number, **form)
    assert asked_first.status_code == 402 and not model.seen
    assert "at most $" in asked_first.text and "$2.5 per million" in asked_first.text
    assert "</textarea><script>" not in asked_first.text
    confirm = re.findall(r'name="confirm" value="([^"]+)"', asked_first.text)[0]
    for wrong in ("0.000001", "nan", "yes", "unknown"):
        assert send(number, **form, confirm=wrong).status_code == 402 and not model.seen
    assert send(number, **form, confirm=confirm, times="20").status_code == 402 and not model.seen, "another question"
    assert send(number, **form, confirm=confirm).status_code == 303 and len(model.seen) == 1


def test_a_model_of_unknown_price_says_that_nobody_knows(stage, numbers, send, monkeypatch):
    number = numbers(stage.good)[0]
    monkeypatch.setattr(bench, "open_provider", lambda name, **_: Scripted(["Yes."]))
    answer = send(number, llm="openai:unheard-of")
    assert answer.status_code == 402 and "nobody can say" in answer.text
    assert send(number, llm="openai:unheard-of", confirm="unknown").status_code == 303


def test_a_missing_key_is_said_before_any_price(stage, numbers, send):
    answer = send(numbers(stage.good)[0], llm="openai:gpt-4o")
    assert answer.status_code == 400 and "OPENAI_API_KEY" in answer.text


def test_confirmed_forms_come_back_as_they_were(stage, numbers, send, monkeypatch):
    monkeypatch.setattr(bench, "open_provider", lambda name, **_: Scripted(["Yes."]))
    text = '\n\nTwo lines before,\ttabs, "quotes" & <tags>\n'
    page = send(numbers(stage.good)[0], llm="openai:gpt-4o", message0=text).text
    kept = re.findall(r'<textarea hidden name="message0">\n(.*?)</textarea>', page, re.DOTALL)[0]
    assert html.unescape(kept) == text
