"""A tree grows as told, every selector chooses from one pool, and what leaks says so."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from graphs.run import prepare, run
from graphs.shared import thought_spaces as spaces
from graphs.workflow import Source, workflow
from rec_models.thought_space.space import ThoughtSpace, read_note
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.embed import open_embedder
from whyrec.errors import LeakageError, UnknownNameError, UsageError
from whyrec.llm.built_in.extractive import Extractive
from whyrec.runs import open_run
from whyrec.settings import read_settings

NAME = "pulse.refine"
FLOW = workflow(NAME)
PLAIN = {"selectors": "embedding,random,longest,base"}


def payloads(report):
    found = open_run(read_settings().home, report.run)
    try:
        return {r.key: dict(r.payload) for r in found.results("done")}
    finally:
        found.close()


SAID = "This user will want more of what the latest lines have in common: "


def telling(request, n):
    """A different text for every request and sample, carrying what it was made from."""
    parent = re.search(r"<reason>\n(.*?)\n</reason>", request.messages[-1].content, re.DOTALL)
    came_from = parent[1].removeprefix(SAID) if parent else "base"
    return [f"{SAID}{came_from}-{request.about.agent[6:9]}{sample}" for sample in request.samples]


class Telling:
    """Answers with `telling`; keeps every request; scores texts by their length where it may."""

    name, revision = "telling", "1"

    def __init__(self) -> None:
        self.seen = []

    async def complete(self, request):
        from whyrec.llm.model import Reply

        self.seen.append(request)
        texts = telling(request, len(self.seen))
        return [Reply(json.dumps({"text": t}), sample=s) for t, s in zip(texts, request.samples, strict=True)]

    async def score(self, request, continuations):
        from whyrec.llm.model import TokenScores

        self.seen.append(request)
        return [TokenScores(c, (-1.0, -float(c.count("che")) - 0.5)) for c in continuations]

    async def close(self) -> None:
        pass


async def test_the_tree_has_its_depth_and_widths_and_siblings_share_a_request(world, how):
    model = Telling()
    options = FLOW.options(widths="2,3,2", **PLAIN)
    job = prepare(NAME, corpus=world.corpus, model=model, options=options, users=3, how=how())
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=3, how=how(cache=False))
    assert report.failed == 0 and report.now.calls.calls == job.inputs.calls() == 3 * (1 + 2 + 6 + 12)
    assert len(model.seen) == 3 * (1 + 1 + 2 + 6), "one request per parent"
    for payload in payloads(report).values():
        depths = [t["depth"] for t in payload["thoughts"]]
        assert [depths.count(d) for d in range(4)] == [1, 2, 6, 12]
        for thought in payload["thoughts"][1:]:
            parent = payload["thoughts"][thought["parent"]]
            assert thought["text"].startswith(parent["text"] + "-") and parent["depth"] == thought["depth"] - 1
        agents = {t["text"].count("-") and t["text"].rsplit("-", 1)[1][:3] for t in payload["thoughts"][1:]}
        assert agents == {"spe", "sup", "che"}


async def test_one_pool_serves_every_selector(world, how):
    await run("pulse.rationale", corpus=world.corpus, model="extractive", how=how())
    report = await run(NAME, corpus=world.corpus, model="extractive", users=8, how=how())
    for payload in payloads(report).values():
        leaves = payload["leaves"]
        assert leaves and all(payload["thoughts"][n]["depth"] == 2 for n in leaves)
        assert set(payload["chosen"]) == {"space", "embedding", "likelihood", "random", "longest", "base"}
        assert payload["chosen"]["base"] == 0 and payload["chosen"]["random"] in leaves
        for name, scores in payload["scores"].items():
            best = max(range(len(leaves)), key=lambda i: scores[i])
            assert scores[leaves.index(payload["chosen"][name])] == pytest.approx(scores[best], abs=1e-6)
        assert payload["unscored"] == {} and payload["leaks"] == []


class Mumbling(Telling):
    """A `Telling` whose answers cannot be read where `garbles` says so of (agent, sample), repairs included."""

    def __init__(self, garbles) -> None:
        super().__init__()
        self.garbles = garbles

    async def complete(self, request):
        from whyrec.llm.model import Reply

        replies = await super().complete(request)
        said = "\n".join(m.content for m in request.messages)
        bad = [self.garbles(request.about.agent, r.sample, said) for r in replies]
        return [Reply("hm", sample=r.sample) if b else r for r, b in zip(replies, bad, strict=True)]


async def test_a_tree_grows_on_without_the_refinements_that_cannot_be_read(world, how):
    def garbles(agent, sample, text):
        return (agent, sample) == ("pulse/specify_reason", 1) or (agent == "pulse/support_reason" and "spe0" in text)

    options = FLOW.options(widths="3,2", **PLAIN)
    model = Mumbling(garbles)
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=2, how=how(cache=False))
    assert report.failed == 0
    for payload in payloads(report).values():
        texts = [t["text"].removeprefix(SAID + "base-bas0") for t in payload["thoughts"]]
        assert texts == ["", "-spe0", "-spe2", "-spe2-sup0", "-spe2-sup1"]
        assert [t["parent"] for t in payload["thoughts"]] == [-1, 0, 0, 2, 2] and payload["missing"] == 1 + 2
        assert payload["leaves"] == [3, 4], "a thought without children is no leaf"


async def test_a_level_that_nobody_can_read_fails_its_example(world, how):
    model = Mumbling(lambda agent, sample, text: agent == "pulse/support_reason")
    options = FLOW.options(widths="2,2", **PLAIN)
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=2, how=how(cache=False))
    assert report.failed == 2


async def test_likelihood_is_the_mean_under_the_prompt_a_leaf_was_drawn_from(world, how):
    model = Telling()
    options = FLOW.options(widths="2", selectors="likelihood", scored="all")
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=2, how=how(cache=False))
    scored = [r for r in model.seen if r.about.node == "score"]
    assert [r.about.agent for r in scored] == ["pulse/base_reason", "pulse/specify_reason"] * 2
    for payload in payloads(report).values():
        assert payload["leaves"] == [0, 1, 2] and payload["scores"]["likelihood"] == [-0.75] * 3
    drawn = [r for r in model.seen if r.about.node == "expand"]
    assert {r.messages for r in drawn} == {r.messages for r in scored if "specify" in r.about.agent}


async def test_a_model_that_scores_nothing_leaves_the_reason_in_the_result(world, how):
    options = FLOW.options(widths="2", selectors="likelihood,base")
    report = await run(NAME, corpus=world.corpus, model="echo", options=options, users=3, how=how())
    assert report.failed == 0
    for payload in payloads(report).values():
        assert payload["chosen"] == {"base": 0}
        assert payload["unscored"] == {
            "likelihood": "echo scores no texts, so the likelihood of a reason under it is not known"
        }


async def test_the_base_reason_alone_is_a_tree_of_one(world, how):
    options = FLOW.options(widths="", **PLAIN)
    report = await run(NAME, corpus=world.corpus, model="extractive", options=options, users=3, how=how())
    for payload in payloads(report).values():
        assert payload["leaves"] == [0] and set(payload["chosen"].values()) == {0}


@pytest.mark.parametrize("split", ["train", "valid", "test"])
async def test_prompts_and_behaviour_show_the_splits_history_and_nothing_later(split, world, how):
    model = Telling()
    options = FLOW.options(split=split, widths="1", **PLAIN)
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=4, how=how(cache=False))
    view = SplitView(world.corpus, split)
    for key, payload in payloads(report).items():
        user = world.corpus.user_index[payload["user"]]
        assert key == f"{split}/{payload['user']}" and payload["prefix"] == view.prefix_digest(user)
        history = [world.corpus.item(int(i)) for i in view.history(user)]
        assert payload["behaviour"].count("\n") == min(len(history), 10) - 1
        assert payload["behaviour"].splitlines()[-1].startswith(history[-1].title)


async def test_without_rationales_the_first_command_is_named(world, how):
    with pytest.raises(UsageError, match=r"whyrec run pulse\.rationale --data world.* rationales=none"):
        prepare(NAME, corpus=world.corpus, model="echo", how=how())


async def test_two_runs_of_rationales_have_to_be_told_apart(world, how):
    one = await run("pulse.rationale", corpus=world.corpus, model="extractive", how=how())
    two = await run("pulse.rationale", corpus=world.corpus, model="echo", how=how())
    leaky = workflow("pulse.rationale").options(target="test-i-know-this-leaks")
    await run("pulse.rationale", corpus=world.corpus, model="extractive", options=leaky, how=how())
    with pytest.raises(UsageError, match="There are 2 runs") as found:
        prepare(NAME, corpus=world.corpus, model="echo", how=how())
    assert one.run in str(found.value) and two.run in str(found.value)
    job = prepare(NAME, corpus=world.corpus, model="echo", options=FLOW.options(rationales=one.run), how=how())
    assert re.fullmatch(re.escape(one.run) + "@[0-9a-f]{16}", job.inputs.options.rationales)
    again = FLOW.options(rationales=job.inputs.options.rationales)
    assert prepare(NAME, corpus=world.corpus, model="echo", options=again, how=how()).identity == job.identity


async def test_a_run_that_has_grown_is_another_space(world, how):
    some = await run("pulse.rationale", corpus=world.corpus, model="extractive", users=20, how=how())
    before = prepare(NAME, corpus=world.corpus, model="echo", how=how()).inputs.options.rationales
    await run("pulse.rationale", corpus=world.corpus, model="extractive", users=30, how=how())
    after = prepare(NAME, corpus=world.corpus, model="echo", how=how()).inputs.options.rationales
    assert before != after and before.startswith(some.run)
    with pytest.raises(UsageError, match="has other results now"):
        prepare(NAME, corpus=world.corpus, model="echo", options=FLOW.options(rationales=before), how=how())


async def test_a_space_is_trained_once_and_says_what_it_was_learnt_from(world, how, monkeypatch):
    made = await run("pulse.rationale", corpus=world.corpus, model="extractive", how=how())
    source = Source(world.corpus, read_settings().home)
    embedder = open_embedder("lsa", fit_on=captions(world.corpus))
    learning = spaces.with_rationales(source, spaces.Learning(""))
    space = spaces.learnt(source, learning, embedder)
    note = read_note(spaces.space_folder(source, learning, embedder))
    assert note["learning"]["rationales"] == learning.rationales and note["leaks"] == []
    assert note["fit"]["pairs"] + note["fit"]["held_out"] == made.done >= 50
    import rec_models.thought_space.fit

    monkeypatch.setattr(rec_models.thought_space.fit, "fit_space", None)
    again = spaces.learnt(source, learning, embedder)
    assert (again.rationales(["x"]) == space.rationales(["x"])).all()
    bare = spaces.learnt(source, spaces.Learning(spaces.NONE), embedder)
    texts = captions(world.corpus)[:3]
    plain = embedder.embed(texts) @ embedder.embed(texts[:1])[0]
    assert bare.scores(texts, texts[0]) == pytest.approx(plain, abs=1e-5)
    assert isinstance(bare, ThoughtSpace)


async def test_rationales_of_another_history_are_never_joined(world, how):
    await run("pulse.rationale", corpus=world.corpus, model="extractive", how=how())
    source = Source(world.corpus, read_settings().home)
    learning = spaces.with_rationales(source, spaces.Learning(""))
    shifted = dataclasses.replace(world.corpus, items=world.corpus.items[::-1].copy())
    with pytest.raises(LeakageError, match="another history or item"):
        spaces.pairs_of(Source(shifted, source.home), learning)
    with pytest.raises(UsageError, match="explains users of other data"):
        spaces.resolved(Source(shifted, source.home), learning.rationales)


LEAKY = {
    "behaviour": ("all-i-know-this-leaks", "behaviour texts name the target (i-know-this-leaks)"),
    "neighbours": ("all-i-know-this-leaks", "similar users' validation and test items are shown (i-know-this-leaks)"),
}


@pytest.mark.parametrize("option", LEAKY)
async def test_every_leaking_option_marks_every_result(option, world, how):
    value, says = LEAKY[option]
    options = FLOW.options(widths="1", **{option: value}, **PLAIN)
    report = await run(NAME, corpus=world.corpus, model="extractive", options=options, users=4, how=how())
    assert all(p["leaks"] == [says] for p in payloads(report).values())
    assert "i-know-this-leaks" in open_run(read_settings().home, report.run).info()["settings"]


async def test_rationales_of_test_targets_mark_every_result(world, how):
    leaky = workflow("pulse.rationale").options(target="test-i-know-this-leaks")
    made = await run("pulse.rationale", corpus=world.corpus, model="extractive", options=leaky, how=how())
    options = FLOW.options(widths="1", selectors="space", rationales=made.run)
    report = await run(NAME, corpus=world.corpus, model="extractive", options=options, users=4, how=how())
    assert all(
        p["leaks"] == ["rationales were made from test targets (i-know-this-leaks)"] for p in payloads(report).values()
    )


async def test_the_oracle_form_names_the_target_in_the_behaviour_text_alone(world, how, counting):
    model = Telling()
    options = FLOW.options(widths="1", behaviour="all-i-know-this-leaks", selectors="embedding")
    honest = Telling()
    report = await run(NAME, corpus=world.corpus, model=model, options=options, users=4, how=how(cache=False))
    plain = FLOW.options(widths="1", selectors="embedding")
    await run(NAME, corpus=world.corpus, model=honest, options=plain, users=4, how=how(cache=False))
    assert sorted(str(r.messages) for r in model.seen) == sorted(str(r.messages) for r in honest.seen)
    view = SplitView(world.corpus, "test")
    for payload in payloads(report).values():
        target = world.corpus.item(view.target(world.corpus.user_index[payload["user"]]))
        assert payload["behaviour"].splitlines()[-1].startswith(f"then {target.title}".strip())


async def test_a_preference_of_another_graph_joins_the_behaviour_text(world, how):
    made = await run("cot_rec.preference", corpus=world.corpus, model="extractive", users=4, how=how())
    options = FLOW.options(widths="1", preferences=made.run, **PLAIN)
    report = await run(NAME, corpus=world.corpus, model="extractive", options=options, users=4, how=how())
    told = {k: p["text"] for k, p in payloads(made).items()}
    for key, payload in payloads(report).items():
        assert payload["behaviour"].splitlines()[0] == f"Prefers: {told[key]}"
    valid = FLOW.options(widths="1", split="valid", preferences=made.run, **PLAIN)
    missing = await run(NAME, corpus=world.corpus, model="extractive", options=valid, users=2, how=how())
    assert missing.failed == 2, "a preference of the test history is not found under the key of the validation example"


async def test_unusable_options_are_refused(world, how):
    described = await run("cot_rec.describe", corpus=world.corpus, model="echo", users=1, how=how())
    for options, error, sentence in (
        ({"widths": "3,zero"}, UsageError, "list of at most 5 numbers"),
        ({"selectors": "spaces"}, UnknownNameError, "Did you mean 'space'"),
        ({"cap": 0}, UsageError, "cap is at least 1"),
        ({"rationales": described.run}, UsageError, "one of pulse.rationale is needed"),
        ({"preferences": described.run, **PLAIN}, UsageError, "one of cot_rec.preference is needed"),
    ):
        with pytest.raises(error, match=sentence):
            prepare(NAME, corpus=world.corpus, model=Extractive(), options=FLOW.options(**options), how=how())
