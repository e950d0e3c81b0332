"""The official JSON, and every way in which an entry can be malformed."""

import json

import pytest

from whyrec.data import Questions, load, open_data
from whyrec.data.questions import Gold
from whyrec.data.readers import hotpotqa
from whyrec.errors import UnknownNameError, UsageError

ENTRY = {
    "_id": "q1",
    "question": "Where was  the author of Grey Harbour born?",
    "answer": "Olm",
    "type": "bridge",
    "level": "hard",
    "supporting_facts": [["Grey Harbour", 0], ["Ada Fenn", 1]],
    "context": [
        ["Grey Harbour", ["Grey Harbour is a novel by Ada Fenn.", " It sold well."]],
        ["Ada Fenn ", ["", "X."]],
    ],
}


def part(write, entries, name="hot/hotpot_dev_distractor_v1.json"):
    return write(name, json.dumps(entries)).parent


@pytest.mark.parametrize("ending", [".json", ".json.gz"])
def test_an_entry_becomes_a_question_and_its_solution_lies_apart(write, settings, ending):
    part(write, [ENTRY], f"hot/hotpot_dev_distractor_v1{ending}")
    data = open_data("hot", settings=settings).data
    assert isinstance(data, Questions) and data.name == "hot" and len(data) == 1
    (q,) = data.questions
    assert (q.id, q.text) == ("q1", "Where was the author of Grey Harbour born?")
    assert [p.title for p in q.paragraphs] == ["Grey Harbour", "Ada Fenn"]
    assert q.paragraphs[0].text == "Grey Harbour is a novel by Ada Fenn. It sold well."
    assert q.paragraphs[1].sentences == ("", "X."), "numbers of sentences are the data set's"
    assert "Olm" not in repr(data), "not even by accident"
    assert Gold(data).answer(0) == "Olm" and Gold(data).facts(0) == (("Grey Harbour", 0), ("Ada Fenn", 1))


def test_parts_and_settings_are_never_mixed(write, settings):
    for name in ("dev_distractor_v1", "dev_fullwiki_v1", "train_v1.1"):
        part(write, [{**ENTRY, "_id": name}, ENTRY], f"hot/hotpot_{name}.json")

    def first(name):
        return open_data(name, settings=settings).data.questions[0].id

    assert first("hot") == "dev_distractor_v1"
    assert first("hot?setting=fullwiki") == "dev_fullwiki_v1"
    assert first("hot?part=train") == "train_v1.1"
    assert len(open_data("hot?questions=1", settings=settings).data) == 1
    with pytest.raises(UsageError, match=r"no file hotpot_train_fullwiki\*.json"):
        first("hot?part=train&setting=fullwiki")
    with pytest.raises(UsageError, match="part of a HotpotQA folder is dev or train, not 'test'"):
        first("hot?part=test")
    with pytest.raises(UnknownNameError, match=r"no option of hot .* named 'kcore'"):
        first("hot?kcore=5")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"_id": 7}, r"entry 2: _id is 7, where text is expected"),
        ({"question": " "}, r"entry 2 \(q1\): question is ' '"),
        ({"answer": None}, r"entry 2 \(q1\): answer is None"),
        ({"context": "none"}, r"context is 'none', where a list is expected"),
        ({"context": [["A", "text"]]}, r"context holds \['A', 'text'\], where \[title, \[sentences\]\]"),
        ({"context": [["A", [1]]]}, r"where \[title, \[sentences\]\] is expected"),
        ({"supporting_facts": [["A", True]]}, r"where \[title, sentence number\] is expected"),
        ({"_id": "q0"}, r"entry 2 \(q0\): its _id is also that of entry 1"),
    ],
)
def test_malformed_entries_are_named(write, settings, change, sentence):
    part(write, [{**ENTRY, "_id": "q0"}, {**ENTRY, **change}])
    with pytest.raises(UsageError, match=sentence):
        open_data("hot", settings=settings)


def test_what_is_no_list_of_questions_is_refused(write, settings):
    folder = part(write, {"data": []})
    with pytest.raises(UsageError, match="not a list of questions"):
        open_data("hot", settings=settings)
    write("hot/hotpot_dev_distractor_v1.json", "[{]")
    with pytest.raises(UsageError, match="is not JSON"):
        hotpotqa.read(folder, {})
    write("hot/hotpot_dev_distractor_v1.json", json.dumps([3]))
    with pytest.raises(UsageError, match="entry 1: it is 3, not an object"):
        hotpotqa.read(folder, {})


def test_questions_are_not_interactions(write, settings):
    part(write, [ENTRY])
    with pytest.raises(UsageError, match="hot holds questions, but users with histories are needed"):
        load("hot", settings=settings)


@pytest.mark.real_data
def test_all_questions_of_the_samples_load(real_data):
    folder = real_data("hotpotqa")
    dev = hotpotqa.read(folder, {})
    assert len(dev) == 395 and {len(q.paragraphs) for q in dev.questions} == {2, 4, 10}
    gold = Gold(dev)
    assert all({t for t, _ in gold.facts(i)} <= {p.title for p in q.paragraphs} for i, q in enumerate(dev.questions))
    assert len(hotpotqa.read(folder, {"part": "train"})) == 100
    assert len(hotpotqa.read(folder, {"setting": "fullwiki"})) == 492
