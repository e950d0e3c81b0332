"""The generated world of facts: pinned, provable, and without a shortcut to the answers."""

from collections import Counter

import pytest

from whyrec.data import open_data
from whyrec.data.generated.facts import load, make
from whyrec.data.questions import Gold
from whyrec.errors import UnknownNameError, UsageError

PINNED = {"facts": "d1e7db0f2c63ce8b", "facts:questions=60,seed=1": "b5c9a42f1383cef3"}


@pytest.fixture(scope="module")
def facts():
    return make(200)


@pytest.mark.parametrize("name", PINNED)
def test_the_worlds_are_frozen(name):
    data = open_data(name).data
    assert (data.name, data.digest) == (name, PINNED[name]), "results on facts are no longer comparable"


def test_fewer_questions_are_the_beginning_of_more(facts):
    assert make(30).questions.questions == facts.questions.questions[:30]
    assert make(30).truths == facts.truths[:30]
    assert make(30, seed=2).questions.digest != make(30).questions.digest


def test_the_proof_is_among_the_paragraphs_and_says_the_answer(facts):
    gold = Gold(facts.questions)
    for i, (question, truth) in enumerate(zip(facts.questions.questions, facts.truths, strict=True)):
        assert len(question.paragraphs) == len({p.title for p in question.paragraphs}) == 10
        by_title = {p.title: p for p in question.paragraphs}
        proof = [by_title[title].sentences[n] for title, n in gold.facts(i)]
        assert tuple(title for title, _ in gold.facts(i)) == truth.hops and truth.answer == gold.answer(i)
        if question.type == "bridge":
            assert truth.answer in proof[1] and truth.answer not in question.text and not truth.named
            assert truth.hops[0] in question.text and truth.hops[1] not in question.text
            assert truth.hops[1].split()[-1] in proof[0], "the first paragraph leads to the second"
        else:
            assert truth.named and all(hop in question.text for hop in truth.hops)
            assert truth.answer in ("yes", "no", *truth.hops)


def test_no_answer_is_found_by_counting(facts):
    """The commonest town of the paragraphs is the right one no oftener than the towns shown allow by chance."""
    towns = {p.title for q in make(1).questions.questions for p in q.paragraphs} | {
        t.answer for t, q in zip(facts.truths, facts.questions.questions, strict=True) if "In which town" in q.text
    }
    hits, chance = 0, 0.0
    asked = [(q, t) for q, t in zip(facts.questions.questions, facts.truths, strict=True) if "In which town" in q.text]
    for question, truth in asked:
        words = Counter(w.strip(".,") for p in question.paragraphs for w in p.text.split())
        shown = {w: n for w, n in words.items() if w in towns}
        best = [w for w, n in shown.items() if n == max(shown.values())]
        hits += truth.answer in best
        chance += len(best) / len(shown)
    assert len(asked) > 30 and hits < chance + 3 * chance**0.5


def test_difficulties_are_spread_and_ids_unique(facts):
    hard = [t.difficulty for t in facts.truths]
    assert 0 <= min(hard) < 0.1 and 0.9 < max(hard) < 1 and 0.4 < sum(hard) / len(hard) < 0.6
    assert len({q.text for q in facts.questions.questions}) == 200


def test_names_that_are_not_understood():
    with pytest.raises(UnknownNameError, match="no option of facts named 'question'"):
        load("facts:question=3")
    with pytest.raises(UsageError, match="seed of facts is a whole number"):
        load("facts:seed=-1")
    with pytest.raises(UsageError, match="1 to 20,000 questions"):
        load("facts:questions=0")
    with pytest.raises(UsageError, match="options after the colon"):
        open_data("facts?questions=3")
