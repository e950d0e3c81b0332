"""What a run leaves behind: results, earlier runs, trained artefacts and secrets, each with something wrong in it."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

from graphs.run import How, run
from graphs.workflow import workflow
from whyrec.cli import build
from whyrec.data import open_data
from whyrec.errors import UsageError
from whyrec.llm.built_in.scripted import Scripted
from whyrec.runs import open_run
from whyrec.settings import read_settings
from whyrec.sqlite import connect
from whyrec.workbench.audit.run import audit

DATA = "world:users=16,items=80,seed=3"
SAID = {"summary": "Likes what lasts.", "keywords": ["a", "b"], "kept": [], "dropped": [], "added": []}
KEY = "sk-proj-" + "a1B2c3D4" * 4


def made(graph: str, *, model: object = "simulated:1", users: int | None = 6, **options):
    settings = read_settings()
    data = open_data(DATA, settings=settings)
    how = How(settings=settings, world=data.world)
    given = workflow(graph).options(**options)
    report = asyncio.run(run(graph, corpus=data.data, model=model, options=given, users=users, how=how))
    return open_run(settings.home, report.run)


def edit(path, sql: str, *values) -> None:
    writing = connect(path)
    writing.execute(sql, values)
    writing.close()


def set_option(reader, **changed) -> None:
    settings = json.loads(reader.info()["settings"])
    settings["options"] |= changed
    edit(reader.path, "UPDATE run SET settings=?", json.dumps(settings))


def set_payload(reader, key: str, **changed) -> None:
    payload = {**reader.result(key).payload, **changed}
    body = json.dumps(payload).encode()
    edit(reader.path, "UPDATE example SET size=?, payload=? WHERE key=?", len(body), body, key)


def only(reader, kind: str):
    report = audit(reader, read_settings())
    assert [one.kind for one in report.findings] == [kind], report.findings
    return report.findings[0]


def test_a_result_of_another_prefix_and_of_too_many_events():
    reader = made("cot_rec.preference")
    key = next(iter(reader.results())).key
    set_payload(reader, key, prefix="0" * 16)
    assert only(reader, "prefix").where == f"result {key}"
    honest = made("cot_rec.preference", split="valid")
    key = next(iter(honest.results())).key
    set_payload(honest, key, events=honest.result(key).payload["events"] + 1)
    assert "may be shown" in only(honest, "prefix").what


def test_a_result_that_names_what_no_answer_did():
    reader = made("cot_rec.preference")
    data = open_data(DATA, settings=read_settings()).data
    title = data.item(int(data.items[data.offsets[data.user_index["u4"] + 1] - 1])).title
    set_payload(reader, "test/u4", text=f"Will like {title}.")
    assert "text names" in only(reader, "named").what


def test_an_order_of_options_that_tells_the_target():
    from whyrec.data.split import SplitView
    from whyrec.workbench.audit.results import chance

    reader = made("pulse.choose", selector="none", users=None)
    assert audit(reader, read_settings()).counts["places of the target among the options"] == 16
    view = SplitView(open_data(DATA, settings=read_settings()).data, "test")
    for result in list(reader.results()):
        target = view.target(view.corpus.user_index[result.user])
        rest = [item for item in result.payload["shown"] if item != target]
        set_payload(reader, result.key, shown=[target, *rest])
    assert "option 1 of 10 in 16 of 16" in only(reader, "order").what
    assert chance(1, 1, 10) == 1.0 and 0.9 < chance(2, 10, 10) <= 1.0


def test_an_earlier_run_of_another_split_and_of_other_data():
    late, early = made("cot_rec.preference"), made("cot_rec.preference", split="valid")
    reader = made("cot_rec.recommend", split="valid", preferences=early.id, mode="preference")
    assert audit(reader, read_settings()).clean
    set_option(reader, preferences=late.id)
    assert "this split's target" in only(reader, "split").what
    set_option(reader, preferences=early.id)
    edit(early.path, "UPDATE run SET data_digest='0123'")
    assert "other data" in only(reader, "data").what


def test_a_thought_space_that_learnt_from_something_else():
    rationales = made("pulse.rationale", users=None)
    reader = made("pulse.refine", rationales=rationales.id, widths="", selectors="space", users=3)
    assert audit(reader, read_settings()).counts["thought spaces"] == 1
    (file,) = (read_settings().home / "thought_spaces").glob("*/space.json")
    about = json.loads(file.read_text())
    about["note"]["learning"]["told"] = "all-i-know-this-leaks"
    file.write_text(json.dumps(about))
    assert "thought space" in only(reader, "artefact").where
    about["note"] |= {"learning": {**about["note"]["learning"], "told": "never"}, "leaks": ["it was told (x)"]}
    file.write_text(json.dumps(about))
    assert "says of itself" in only(reader, "oracle").what


def test_an_expert_fitted_on_something_else_and_lists_that_do_not_follow_from_training():
    reader = made("rallrec.predict", mode="direct", users=3)
    (file,) = (read_settings().home / "experts").glob("*.json")
    told = json.loads(file.read_text())
    assert told["trained_on"]["split"] == "train"
    file.write_text(json.dumps({**told, "trained_on": {**told["trained_on"], "split": "test"}}))
    assert "fitted on" in only(reader, "artefact").what

    import numpy as np

    ranked = made("cot_rec.recommend", mode="titles", users=3)
    (lists,) = (read_settings().home / "retrieved").glob("item_cf-*.npy")
    wrong = np.load(lists)
    wrong[0] = wrong[0][::-1]
    np.save(lists, wrong)
    assert "do not follow from training" in only(ranked, "artefact").what


def test_a_step_matrix_under_another_prefix():
    reader = made("scoter.distil", users=3)
    file = reader.folder / "steps" / "index.jsonl"
    first, *rest = file.read_text().splitlines()
    line = json.loads(first)
    file.write_text("\n".join([json.dumps(["f" * 16, *line[1:]]), *rest]) + "\n")
    assert only(reader, "prefix").where == "steps/index.jsonl line 1"


def test_switches_that_leak_are_reported_as_what_they_are():
    reader = made("pulse.rationale", users=None, target="test-i-know-this-leaks")
    report = audit(reader, read_settings())
    assert [one.kind for one in report.findings] == ["oracle"]
    assert "test targets are explained" in report.findings[0].what
    assert report.counts["places that a switch lets leak"] > 0
    refined = made(
        "pulse.refine",
        rationales=reader.id,
        widths="",
        selectors="space",
        users=3,
        behaviour="all-i-know-this-leaks",
        neighbours="all-i-know-this-leaks",
    )
    found = {one.where.partition("=")[0]: one.kind for one in audit(refined, read_settings()).findings}
    assert found.pop("option behaviour") == found.pop("option neighbours") == found.pop("option rationales") == "oracle"
    assert set(found.values()) == {"oracle"}, "the space says so too"


# --- secrets


def test_a_key_that_a_model_answered_with_is_named_by_its_call_and_not_shown():
    said = {**SAID, "summary": f"The key is {KEY}."}
    reader = made("cot_rec.preference", model=Scripted([json.dumps(said)] * 100), users=2)
    report = audit(reader, read_settings())
    assert not report.clean and {one.kind for one in report.findings} == {"secret"}
    assert any(one.where.startswith("call 1 (answer)") for one in report.findings)
    assert all(KEY not in one.what for one in report.findings) and "sk-p…" in report.findings[0].what


@pytest.mark.parametrize(
    ("sql", "value", "what"),
    [
        ("UPDATE run SET command=?", "whyrec run --llm openai:m@http://me:pass1234@host/v1", "password in a URL"),
        ("UPDATE call SET error=? WHERE id=2", "401 for Bearer abc0123456789defghij", "bearer token"),
        ("UPDATE example SET reason=? WHERE key='test/u0'", "hf_" + "x" * 30, "Hugging Face token"),
        ("UPDATE call SET answered_by=? WHERE id=3", "AKIA" + "ABCDEFGH12345678", "AWS key id"),
        ("UPDATE prompt SET text=text||?", "value-of-a-secret", "the value of MY_API_KEY"),
    ],
)
def test_secrets_in_columns(monkeypatch, sql, value, what):
    monkeypatch.setenv("MY_API_KEY", "value-of-a-secret")
    reader = made("cot_rec.preference", users=2)
    edit(reader.path, sql, value)
    kinds = {one.kind for one in audit(reader, read_settings()).findings}
    secrets = [one for one in audit(reader, read_settings()).findings if one.kind == "secret"]
    assert secrets and all(what in one.what and value not in one.what for one in secrets)
    assert kinds <= {"secret", "altered"}, "a changed prompt is also not what was sent"


def test_secrets_in_the_manifest_the_replays_and_the_cache():
    from whyrec.workbench import replay as bench

    reader = made("cot_rec.preference", users=2)
    manifest = reader.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("{", '{"x": "' + KEY + '",', 1))
    change = bench.Change(llm="scripted:x", replaced=(("at most 40 words", KEY),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "open_provider", lambda name, **_: Scripted(["yes"]))
        asyncio.run(bench.replay(reader, 1, change, settings=read_settings()))
    edit(read_settings().home / "cache.sqlite", "UPDATE answer SET model=?", f"m@{KEY}")
    where = sorted(one.where for one in audit(reader, read_settings()).findings)
    assert where == ["call cache, name of a model", "manifest.json line 1", "replay 1"]


# --- the command


def whyrec(*arguments: str):
    return CliRunner().invoke(build(), list(arguments))


def test_the_command_says_what_it_checked_and_ends_with_a_code():
    reader = made("cot_rec.preference", users=2)
    clean = whyrec("audit", reader.id)
    assert clean.exit_code == 0 and "Clean: nothing was found." in clean.output
    assert "prefix digests" in clean.output and "stored texts" in clean.output
    set_payload(reader, "test/u0", prefix="0" * 16)
    found = whyrec("audit", "--format", "json")
    assert found.exit_code == 1 and json.loads(found.stdout)["findings"][0]["where"] == "result test/u0"
    assert isinstance(whyrec("audit", "nope").exception, LookupError)
    edit(reader.path, "UPDATE run SET data_digest='x'")
    with pytest.raises(UsageError, match="is not what it was"):
        audit(reader, read_settings())
