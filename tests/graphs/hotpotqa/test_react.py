"""The three ways to an answer: at once, step by step over the question's own paragraphs, after the best rationale."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest

from agents.hotpotqa import Step, read_action, read_step
from graphs.hotpotqa import react
from graphs.hotpotqa.answers import match
from graphs.hotpotqa.examples import Mode, Options, Task, shorten, used
from graphs.hotpotqa.space import pairs, resolved
from graphs.hotpotqa.tools import find, likeness, observe
from graphs.run import prepare, run
from graphs.services import Services
from graphs.shared.reasons import AnyReason, PlainCosine, ReasonScorer, open_scorer, scorer_of
from graphs.workflow import Source, workflow
from whyrec.data.generated.facts import make
from whyrec.data.questions import Gold, Paragraph, Question
from whyrec.embed.hashed import Hashed
from whyrec.errors import LeakageError, UnknownNameError, UsageError
from whyrec.llm.model import Reply
from whyrec.runs import open_run
from whyrec.settings import read_settings

PARAGRAPHS = (
    Paragraph(
        "Grey Harbour (novel)", ("Grey Harbour is a novel by Ada Fenn.", "", "A film followed.", "3.", "4.", "5.")
    ),
    Paragraph("Ada Fenn", ("Ada Fenn wrote novels.", "She was born in Olm.", "Born poor, she died rich.")),
    Paragraph("Ada Fennimore", ("Somebody else.",)),
    Paragraph("Olm", ()),
)
QUESTION = Question("q1", "Where was the author of Grey Harbour born?", PARAGRAPHS)
FACTS = make(40)


def step(action, argument, number=1):
    return Step(number, "", action, argument)


# --- tools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Ada Fenn", "Ada Fenn"),
        ("ada fenn.", "Ada Fenn"),
        ("Grey Harbour", "Grey Harbour (novel)"),
        ("the novel Grey Harbour", "Grey Harbour (novel)"),
        ("Grey Harbor", "Grey Harbour (novel)"),
        ("Ada", None),
        ("Bela Quist", None),
        ("", None),
    ],
)
def test_search_finds_the_exact_title_first_and_then_the_likest(title, found):
    paragraph = find(PARAGRAPHS, title)
    assert (paragraph and paragraph.title) == found


def test_search_shows_five_sentences_or_similar_titles():
    assert observe(PARAGRAPHS, (), "Search", "Grey Harbour") == (
        "Grey Harbour is a novel by Ada Fenn. A film followed. 3. 4. 5."
    )
    six = (Paragraph("A", tuple(f"{i}." for i in range(8))), *(Paragraph(f"B{i}", ("x",)) for i in range(6)))
    assert observe(six, (), "Search", "A") == "0. 1. 2. 3. 4."
    shown = observe(six, (), "Search", "Zz")
    assert shown.startswith("Could not find Zz. Similar: ") and shown.count(";") == 4
    assert observe(PARAGRAPHS, (), "Search", "Ida Quen").startswith("Could not find Ida Quen. Similar: Ada Fenn;")
    assert observe(PARAGRAPHS, (), "Search", "Olm") == "This paragraph is empty."
    assert observe((), (), "Search", "Olm") == "Could not find Olm. Similar: nothing."


def test_lookup_goes_on_from_hit_to_hit_in_the_paragraph_found_last():
    found = step("Search", "Ada Fenn")
    assert observe(PARAGRAPHS, (found,), "Lookup", "born") == "(Result 1 / 2) She was born in Olm."
    once = (found, step("Lookup", "born"))
    assert observe(PARAGRAPHS, once, "Lookup", "Born") == "(Result 2 / 2) Born poor, she died rich."
    assert observe(PARAGRAPHS, (*once, step("Lookup", "born")), "Lookup", "born") == "No more results."
    assert observe(PARAGRAPHS, (*once, step("Lookup", "rich")), "Lookup", "born").startswith("(Result 1 / 2)")
    missed = (*once, step("Search", "Nobody at all"))
    assert observe(PARAGRAPHS, missed, "Lookup", "born").startswith("(Result 2 / 2)"), "nothing was found in between"
    assert observe(PARAGRAPHS, (*once, found), "Lookup", "born").startswith("(Result 1 / 2)")
    assert observe(PARAGRAPHS, (), "Lookup", "born") == "No results for born."
    assert observe(PARAGRAPHS, (found,), "Lookup", "") == "No results for ."


def test_what_is_no_action_is_said_to_be_none():
    assert observe(PARAGRAPHS, (), "Finish", "Olm") == "Finished."
    assert observe(PARAGRAPHS, (), "", "Ask[me]").startswith("Invalid action: Ask[me].")
    assert likeness("Grey Harbour", "Grey Harbour (novel)") == 1.0 > likeness("Grey", "Grey Harbour")


# --- reading a step ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "thought", "line"),
    [
        ("Thought 1: First the book.\nAction 1: Search[Grey Harbour]", "First the book.", "Search[Grey Harbour]"),
        ("I think\nso.\n**Action:** x", "I think so.", "x"),
        ("action: finish[Olm]\nObservation 1: made up\nAction 2: Search[x]", "", "finish[Olm]"),
        ("Thought 2: no.\nObservation 2: x\nAction 3: Search[y]", "no.", None),
        ("Search[Ada Fenn]", "", "Search[Ada Fenn]"),
        ("I will search (a lot) for it.", "I will search (a lot) for it.", None),
        ("- Action 3 : Lookup[born]", "", "Lookup[born]"),
        ("", "", None),
    ],
)
def test_the_first_action_of_a_text_counts(text, thought, line):
    assert read_step(text) == (thought, line)


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("Search[Grey Harbour]", ("Search", "Grey Harbour")),
        ("search(Grey Harbour (novel)).", ("Search", "Grey Harbour (novel)")),
        ("FINISH[yes]", ("Finish", "yes")),
        ("Finish[]", ("Finish", "")),
        ("Finish[1942 [sic]]", ("Finish", "1942 [sic]")),
        ("Browse[x]", None),
        ("Search Grey Harbour", None),
    ],
)
def test_actions_are_read(line, action):
    assert read_action(line) == action


# --- the graph -----------------------------------------------------------------------------------------------------


class Scripted:
    """Answers in turn, and keeps what it was asked."""

    name, revision = "scripted-here", "1"

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []

    async def complete(self, request):
        self.seen.append(request)
        return [Reply(self.answers.pop(0), sample=i) for i in request.samples]

    async def close(self):
        pass


async def think(*answers, mode="react", parts=(), **options):
    model = Scripted(*answers)
    task = Task(QUESTION, 0, used(Options(mode=mode, **options)))
    state = react.State(task)
    services = Services({"writer": model}, parts)
    final = await react.build().ainvoke(state, {"recursion_limit": react.WORKFLOW.steps(state)}, context=services)
    return react.State(**final), model


def act(text):
    return f"Thought: so.\nAction: {text}"


async def test_a_search_ends_with_finish_and_sees_only_what_it_looked_up():
    final, model = await think(act("Search[Grey Harbour]"), act("Search[Ada Fenn]"), act("Finish[Olm]"))
    assert final.answer == "Olm" and [s.action for s in final.steps] == ["Search", "Search", "Finish"]
    assert react.result(final)["finished"]
    first, _, last = (r.messages[-1].content for r in model.seen)
    assert "She was born" not in first and "She was born in Olm." in last and "step 3 of 7" in last
    assert "Action 1: Search[Grey Harbour]" in last and "Thought 2: so." in last
    assert all(r.sampling.temperature == 0 and r.sampling.stop == ("\nObservation",) for r in model.seen)


async def test_a_text_without_an_action_is_followed_by_a_call_for_the_action_alone():
    final, model = await think("I wonder.", json.dumps({"action": "Finish", "argument": "Olm"}))
    assert (final.answer, final.steps[0].thought) == ("Olm", "I wonder.")
    asked = model.seen[1]
    assert asked.about.node == "next_action" and "<thought>\nI wonder.\n</thought>" in asked.messages[-1].content


async def test_an_invalid_action_is_observed_and_costs_a_step():
    final, model = await think(act("Browse[web]"), act("Finish[Olm]"))
    assert final.steps[0].action == "" and "Invalid action: Browse[web]" in final.steps[0].observation
    assert "Action 1: Browse(web)" in model.seen[1].messages[-1].content


async def test_after_seven_steps_the_answer_is_empty():
    final, model = await think(*[act("Search[Ada Fenn]")] * 7)
    assert final.answer == "" and len(model.seen) == 7 and not react.result(final)["finished"]


async def test_act_shows_no_thoughts():
    final, model = await think("Thought 1: hm.\nAction 1: Search[Olm]", act("Finish[Olm]"), mode="act")
    assert "Thought" not in model.seen[1].messages[-1].content and final.steps[0].thought == ""


def reasoned(answer):
    read = f"I have read both of the pages once more, and what they say comes to {answer}."
    return json.dumps({"reasoning": read, "answer": answer})


async def test_an_unfinished_search_is_put_to_the_vote_and_a_finished_one_is_not():
    votes = [reasoned(a) for a in ("Elm", "Olm", "olm.", "", "Elm Town")]
    final, model = await think(act("Search[Olm]"), act("Search[Ada Fenn]"), *votes, mode="react_cot", steps=2, votes=5)
    assert final.answer == "Olm" and len(final.reasons) == 5
    assert model.seen[-1].samples == (0, 1, 2, 3, 4) and model.seen[-1].sampling.temperature == 0.7
    final, model = await think(act("Finish[]"), mode="react_cot")
    assert final.answer == "" and len(model.seen) == 1


def test_the_majority_counts_spellings_together_and_takes_the_earliest_of_equals():
    assert react.majority(["b", "A.", "a"]) == "A." and react.majority(["b", "a"]) == "b"
    assert react.majority(["", ""]) == "" and react.majority(["", "", "x"]) == "x"


class Favourite:
    def score(self, rationales, behaviour):
        self.asked = behaviour
        return [float("Olm" in r) for r in rationales]


async def test_the_best_rationale_is_shown_and_its_answer_is_not():
    favourite = Favourite()
    read = "I read {} on the page about her, and it says in so many words where she was born."
    samples = [json.dumps({"reasoning": read.format(w), "answer": "sample answer"}) for w in ("a", "Olm", "Olm b")]
    final, model = await think(*samples, '{"answer": "Olm"}', mode="react_best", m=3, parts=(favourite,))
    assert (final.chosen, final.scores, final.answer) == (1, (0.0, 1.0, 1.0), "Olm")
    last = model.seen[-1].messages[-1].content
    assert f"<reason>\n{read.format('Olm')}\n</reason>" in last and "sample answer" not in last
    assert favourite.asked.startswith(QUESTION.text) and "She was born in Olm." in favourite.asked


def test_scorers_of_reasons():
    plain = open_scorer("embedder", lambda: Hashed(64))
    assert isinstance(plain, PlainCosine) and isinstance(plain, ReasonScorer)
    close, far = plain.score(["salt and bread", "engines"], "bread and salt")
    assert close == pytest.approx(1.0) and far < 0.5 and plain.score(["x"], "") == [0.0]
    any_reason = open_scorer("random", lambda: Hashed(64))
    assert any_reason == AnyReason() and any_reason.score(["a", "b"], "t") == any_reason.score(["a", "b"], "t")
    draws = np.array([any_reason.score([str(i)], "t")[0] for i in range(500)])
    assert abs(draws.mean() - 0.5) < 0.05
    assert scorer_of(Services({}, (object(), plain))) is plain
    with pytest.raises(UnknownNameError, match="ReasonScorer"):
        scorer_of(Services({}))


def test_a_thought_space_of_another_data_set_chooses(tmp_path):
    from rec_models.thought_space.space import SpaceSettings, ThoughtSpace

    embedder = Hashed(64)
    ThoughtSpace.over(embedder, SpaceSettings(width=64)).save(tmp_path / "space")
    found = open_scorer(str(tmp_path / "space"), lambda: embedder)
    texts = ["salt and bread", "engines of war"]
    plain = open_scorer("embedder", lambda: embedder).score(texts, "bread and salt")
    assert found.score(texts, "bread and salt") == pytest.approx(plain, abs=1e-5), "untrained, it is the plain cosine"


def test_options_are_those_that_the_mode_uses(tmp_path):
    assert used(Options(mode="standard")) == used(Options(mode="standard", m=3, votes=2, steps=9, space="random"))
    assert used(Options(mode="react", m=3)) == used(Options(mode="react"))
    assert used(Options(mode="react", steps=3)) != used(Options(mode="react"))
    assert used(Options(mode="react_best", m=3)) != used(Options(mode="react_best"))
    with pytest.raises(UsageError, match=r"Option m of hotpotqa\.react is at least 1, not 0"):
        used(Options(mode="react_best", m=0))
    with pytest.raises(UsageError, match="at least 1, not -1"):
        used(Options(votes=-1))
    for mode in get_args(Mode):
        once = used(Options(mode=mode))
        assert used(once) == once, "a run's options are read again when its states are made again"


def source(tmp_path, data=FACTS.questions):
    return Source(data, tmp_path)


def test_a_saved_space_is_known_by_its_weights_and_names_its_data(tmp_path):
    given = Options(mode="react_best", space=str(tmp_path))
    with pytest.raises(UsageError, match="no thought space in"):
        resolved(source(tmp_path), given)
    (tmp_path / "space.safetensors").write_bytes(b"one")
    (tmp_path / "space.json").write_text('{"note": {"data": "world:users=50"}}')
    before = resolved(source(tmp_path), given)
    assert before.catalogue == "world:users=50"
    (tmp_path / "space.safetensors").write_bytes(b"two")
    assert resolved(source(tmp_path), given).space_digest != before.space_digest, "a retrained space, another run"


async def test_a_space_is_learnt_from_right_rationales_of_other_questions_only(how):
    """The control: encoders of QA rationales."""
    asked = make(5).questions
    flow, train = workflow("hotpotqa.react"), make(60, seed=1)
    options = flow.options(mode="react_cot", steps=1, votes=3)
    before = await run(flow.name, corpus=train.questions, model="simulated:0.7", options=options, how=how(world=train))
    chosen = flow.options(mode="react_best", m=4, space=f"qa:{before.run}")
    report = await run(flow.name, corpus=asked, model="simulated:0.5", options=chosen, how=how(world=FACTS))
    assert (report.done, report.failed) == (5, 0)
    here = resolved(Source(asked, read_settings().home), chosen)
    found = pairs(read_settings().home, here)
    assert 20 < len(found) < 60, "only questions with a right rationale"
    assert all(train.questions.questions[u].text in b for u, b in zip(found.users, found.behaviours, strict=True))
    assert np.mean([" So " in r for r in found.rationales]) > 0.8, "few are right by chance"
    assert list((read_settings().home / "thought_spaces").glob("qa-*/space.json"))
    with pytest.raises(LeakageError, match="60 of its questions are asked now"):
        prepare(flow.name, corpus=train.questions, model="echo", options=chosen, how=how())


def test_long_paragraphs_are_shown_in_whole_sentences():
    assert shorten(Paragraph("A", ("", "x" * 2000, "y"))) == "x" * 2000
    assert shorten(Paragraph("A", ("x" * 1000, "y" * 400, "z" * 200))) == "x" * 1000 + " " + "y" * 400


# --- over a data set -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["standard", "cot", "act", "react", "react_cot", "react_best"])
async def test_a_better_model_answers_better_in_every_mode(mode, how):
    scores = []
    for quality in (0, 0.5, 1):
        report = await run(
            "hotpotqa.react",
            corpus=FACTS.questions,
            model=f"simulated:{quality}",
            options=workflow("hotpotqa.react").options(mode=mode),
            how=how(world=FACTS),
        )
        assert (report.done, report.failed) == (40, 0)
        reader = open_run(read_settings().home, report.run)
        said = {r.payload["index"]: r.payload["answer"] for r in reader.results()}
        reader.close()
        gold = Gold(FACTS.questions)
        scores.append(np.mean([match(i, said[i], gold.answer(i)).f1 for i in range(40)]))
    assert scores[0] < 0.2 < scores[1] < scores[2] == 1.0


def test_only_questions_are_taken_and_the_first_ones_are_meant(world, how):
    with pytest.raises(UsageError, match="but questions with paragraphs are needed here"):
        prepare("hotpotqa.react", corpus=world.corpus, model="echo", how=how())
    with pytest.raises(UsageError, match="but users with histories are needed here"):
        prepare("cot_rec.preference", corpus=FACTS.questions, model="echo", how=how())
    job = prepare("hotpotqa.react", corpus=FACTS.questions, model="echo", users=3, how=how())
    assert [job.inputs.key(int(i)) for i in job.inputs.indices] == ["question/s0q0", "question/s0q1", "question/s0q2"]
    assert job.inputs.place(0) == ("", "")
