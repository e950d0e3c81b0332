"""No prompt, chain, template, matrix or pair of SCoTER's graphs holds what was to be predicted (spec 8.1 to 8.3).

The echo model repeats every title it saw. A train target may be *read* by scoter.validate and scoter.mine (leakage
matrix: GVM scores), so their results may depend on it, but nothing that was sent to a model or came from one may,
except the one number that the abstraction is told. Each check is also run with a leak put in, and must find it.
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from graphs.run import run
from graphs.scoter.pairs import write_pairs
from graphs.scoter.step_store import StepStore
from graphs.workflow import workflow
from whyrec.data.split import SplitView
from whyrec.errors import LeakageError
from whyrec.llm.built_in.echo import Echo
from whyrec.runs import open_run
from whyrec.settings import read_settings

USERS = 14
MARK = "ZQ"  # no title of the world begins so
CASES = [
    ("scoter.generate", "train"),
    ("scoter.generate", "valid"),
    ("scoter.generate", "test"),
    ("scoter.validate", "train"),
    ("scoter.validate", "valid"),
    ("scoter.mine", "train"),
    ("scoter.distil", "train"),
    ("scoter.distil", "valid"),
]


def options_of(name, split):
    return workflow(name).options(split=split)


async def told(name, corpus, split, how):
    """Every text that was sent, answered or stored, and the results with the run's id."""
    report = await run(
        name, corpus=corpus, model=Echo(), options=options_of(name, split), users=USERS, how=how(cache=False, new=True)
    )
    assert report.exit_code == 0
    stored = open_run(read_settings().home, report.run)
    try:
        texts = [str(call[column]) for call in stored.calls() for column in ("blanks", "messages", "answer")]
        results = [dict(r.payload or {}) for r in stored.results()]
    finally:
        stored.close()
    assert len(texts) >= 3 * USERS and results
    return texts, results, report.run


@pytest.mark.parametrize(("name", "split"), CASES)
@pytest.mark.parametrize("leaky", [False, True])
async def test_poisoned_targets_reach_no_prompt_and_no_result(name, split, leaky, world, how, leak_checks, monkeypatch):
    if leaky:
        leak_checks.show_one_more(monkeypatch)
    texts, results, run_id = await told(name, leak_checks.poisoned(world.corpus, split, MARK), split, how)
    files = (read_settings().home / "runs" / run_id).glob("s*/*.json*")
    whole = texts + [json.dumps(r) for r in results] + [file.read_text() for file in files]
    assert bool(leak_checks.sentinel_places(whole, MARK)) == leaky


def permuted(corpus, back):
    """The events so many from the end dealt out anew among the users."""
    places = corpus.offsets[1:] - back
    order = np.random.default_rng(0).permutation(len(places))
    items = corpus.items.copy()
    items[places] = corpus.items[places][order]
    assert (items != corpus.items).any()
    return dataclasses.replace(corpus, items=items)


async def asked(name, corpus, split, how, counting):
    model = counting()
    await run(
        name, corpus=corpus, model=model, options=options_of(name, split), users=USERS, how=how(cache=False, new=True)
    )
    return sorted((r.about.example, r.about.node, [m.content for m in r.messages]) for r in model.seen)


@pytest.mark.parametrize("name", ["scoter.validate", "scoter.mine", "scoter.distil"])
@pytest.mark.parametrize("back", [1, 2])
async def test_later_targets_change_nothing_at_all(name, back, world, how, counting):
    """Validation and test targets, dealt out anew: same prompts, and same scores and templates."""
    other = permuted(world.corpus, back)
    assert await asked(name, other, "train", how, counting) == await asked(name, world.corpus, "train", how, counting)
    same = [(await told(name, corpus, "train", how))[1] for corpus in (other, world.corpus)]
    for results in same:
        for result in results:
            result.pop("run", None)
    assert same[0] == same[1]


async def test_the_train_target_changes_no_prompt_but_the_number_that_the_abstraction_is_told(
    world, how, counting, leak_checks
):
    found = [
        await asked("scoter.mine", corpus, "train", how, counting)
        for corpus in (permuted(world.corpus, 3), world.corpus)
    ]
    made = [[row for row in rows if row[1] == "generate_chains"] for rows in found]
    assert made[0] == made[1] and made[0]
    with pytest.MonkeyPatch.context() as patch:
        leak_checks.show_one_more(patch)
        leaky = await asked("scoter.mine", permuted(world.corpus, 3), "train", how, counting)
    assert [row for row in leaky if row[1] == "generate_chains"] != made[0]


@pytest.mark.parametrize("name", ["scoter.generate", "scoter.validate", "scoter.distil"])
@pytest.mark.parametrize("leaky", [False, True])
async def test_results_carry_the_digest_of_exactly_the_prefix_shown(name, leaky, world, how, leak_checks, monkeypatch):
    index, view = world.corpus.user_index, SplitView(world.corpus, "train")
    true = {u: view.prefix_digest(i) for u, i in index.items()}
    with monkeypatch.context() as patch:
        if leaky:
            leak_checks.show_one_more(patch)
        _, results, _ = await told(name, world.corpus, "train", how)
    wrong = leak_checks.prefix_mismatches([(r["prefix"], true[r["user"]]) for r in results])
    assert bool(wrong) == leaky


async def test_leaky_chains_are_never_scored_joined_or_taught(world, how, leak_checks, monkeypatch, tmp_path):
    """Chains and matrices that were made with the target in view are refused by everything that would use them."""
    corpus = world.corpus
    with monkeypatch.context() as patch:
        leak_checks.show_one_more(patch)
        chains = await run("scoter.generate", corpus=corpus, model=Echo(), users=5, how=how())
        matrices = await run("scoter.distil", corpus=corpus, model=Echo(), users=5, how=how())
    flow = workflow("scoter.validate")
    with pytest.raises(LeakageError, match="another history"):
        await run(flow.name, corpus=corpus, model=Echo(), options=flow.options(generate=chains.run), users=5, how=how())
    reader = open_run(read_settings().home, matrices.run)
    store, view = StepStore.open(reader.folder / "steps"), SplitView(corpus, "train")
    for result in reader.results("done"):
        with pytest.raises(LeakageError, match="made from the prefix"):
            store.of(result.key, view.prefix_digest(corpus.user_index[result.user]))
    with pytest.raises(LeakageError, match="was not made from the first"):
        write_pairs(reader, corpus, tmp_path / "pairs.jsonl", cap=20)
    assert not (tmp_path / "pairs.jsonl").exists()
    reader.close()


@pytest.mark.parametrize("split", ["valid", "test"])
async def test_no_pair_is_written_for_a_later_prefix(split, world, how, tmp_path):
    flow = workflow("scoter.distil")
    made = await run(
        flow.name, corpus=world.corpus, model=Echo(), options=flow.options(split=split), users=3, how=how()
    )
    reader = open_run(read_settings().home, made.run)
    with pytest.raises(LeakageError, match="no train prefix"):
        write_pairs(reader, world.corpus, tmp_path / "pairs.jsonl", cap=20)
    reader.close()
