import dataclasses

import pytest

from whyrec.data.generated.world import make
from whyrec.data.questions import Gold, Paragraph, Question, Questions, Solution, describe, need_corpus, need_questions
from whyrec.errors import UsageError

Q = Question("q", "Who?", (Paragraph("A", ("One.", "", "Two.")),), "bridge", "hard")
DATA = Questions("two", (Q, dataclasses.replace(Q, id="r")), (Solution("yes", (("A", 0),)), Solution("B", (("C", 0),))))


def test_every_part_of_the_data_is_in_its_digest():
    def digest(**changed):
        return Questions("x", (dataclasses.replace(Q, **changed),), (Solution("yes"),)).digest

    others = [
        digest(id="r"),
        digest(text="Whom?"),
        digest(paragraphs=(Paragraph("A", ("One.", "Two.")),)),
        digest(type="comparison"),
        digest(level="easy"),
        Questions("x", (Q,), (Solution("no"),)).digest,
        Questions("x", (Q,), (Solution("yes", (("A", 0),)),)).digest,
    ]
    assert len({digest(), *others}) == len(others) + 1
    assert digest() == Questions("another name", (Q,), (Solution("yes"),)).digest


def test_gold_is_the_only_way_to_an_answer():
    assert Gold(DATA).answer(0) == "yes" and Gold(DATA).facts(1) == (("C", 0),)
    assert not any(hasattr(DATA, name) for name in ("answer", "answers", "solutions", "facts"))
    assert "yes" not in repr(DATA) and {f.name for f in dataclasses.fields(Question)} == {
        "id",
        "text",
        "paragraphs",
        "type",
        "level",
    }


def test_two_questions_of_one_id_are_refused():
    with pytest.raises(AssertionError, match="one id"):
        Questions("x", (Q, Q), (Solution("a"), Solution("b")))


def test_numbers_about_questions():
    found = describe(DATA)
    assert (found["questions"], found["type"], found["paragraphs"]["most"]) == (2, {"bridge": 2}, 1)
    assert found["answers"] == {"share yes or no": 0.5, "share with every proving paragraph there": 0.5}
    assert found["paragraphs"]["characters per question"] == len("One. Two.")


def test_each_kind_of_data_says_what_is_needed_instead():
    corpus = make(users=5, items=30).corpus
    assert need_corpus(corpus) is corpus and need_questions(DATA) is DATA
    with pytest.raises(UsageError, match="two holds questions, but users with histories are needed"):
        need_corpus(DATA)
    with pytest.raises(UsageError, match="holds users with histories, but questions with paragraphs are needed"):
        need_questions(corpus)
