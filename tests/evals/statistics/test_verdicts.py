from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from evals.evaluate import evaluate, plan
from evals.experiment import Claim, Context, Told
from evals.results import Difference
from evals.statistics.verdicts import summary_of_claim, verdict
from evals.summary import Paired
from whyrec.records import Ranking

Build = Callable[..., Any]


def found(difference: float, seeds: tuple[float, ...], metric: str = "ndcg@10") -> Difference:
    users = Paired(difference, difference - 0.001, difference + 0.001, 0.001, 1000, 10, 5)
    return Difference(better="a", worse="b", metric=metric, users=users, seeds=seeds, sign_p=0.25, digests=("x", "y"))


@pytest.mark.parametrize(
    ("difference", "seeds", "p", "metric", "kind"),
    [
        (0.01, (0.01, 0.011, 0.009), 0.01, "ndcg@10", "supported"),
        (0.01, (0.01, 0.03, -0.01), 0.01, "ndcg@10", "not supported"),
        (0.01, (0.01, 0.02, 0.002), 0.01, "ndcg@10", "not supported"),  # all agree, but t over three seeds holds 0
        (0.01, (0.01, 0.011, 0.009), 0.06, "ndcg@10", "not supported"),
        (-0.01, (-0.01, -0.011, -0.009), 0.01, "ndcg@10", "contradicted"),
        (-0.01, (-0.04, -0.02, 0.005), 0.01, "ndcg@10", "not supported"),
        (-0.01, (-0.01, -0.011, -0.009), 0.01, "log_loss", "supported"),
        (0.01, (0.01,), 0.0001, "ndcg@10", "no verdict"),
        (-0.01, (-0.01,), 0.0001, "log_loss", "no verdict"),
    ],
)
def test_users_and_seeds_have_to_agree(
    difference: float, seeds: tuple[float, ...], p: float, metric: str, kind: str
) -> None:
    judged = verdict("a beats b", found(difference, seeds, metric), p)
    assert judged.verdict == kind and judged.sentence.endswith(f"{kind}.")


def test_a_sentence_says_what_the_seeds_say() -> None:
    assert verdict("c", found(0.01, (0.01,)), 0.01).sentence.endswith(": one seed: no verdict.")
    words = verdict("c", found(0.01, (0.01, 0.02, -0.01)), 0.01).sentence
    assert "over 3 seeds [-0.0313, +0.0446] (t), 2 of 3 agree" in words


def test_rows_of_different_revisions_are_marked() -> None:
    words = verdict("c", found(0.01, (0.01, 0.011)), 0.01, revisions=("aaa", "bbb")).sentence
    assert "(its rows are of different revisions: aaa, bbb)" in words


def test_claims_of_a_table_fall_either_way(bench: Build) -> None:
    b = bench()
    table = evaluate(b.experiment, b.context, b.place, jobs=plan(b.experiment, b.context, b.place, seeds=(1, 2, 3)))
    by_claim = {v.claim: v for v in table.verdicts}
    assert by_claim["strong wins"].verdict == "supported"
    assert by_claim["plain wins"].verdict == "contradicted"
    assert by_claim["a hair helps"].verdict == "not supported"
    assert by_claim["anything beats popularity"].verdict == "supported", "an unseeded row stands beside every seed"
    assert len(by_claim["anything beats popularity"].difference.seeds) == 3
    assert by_claim["a hair helps"].difference.users.n == 397, "paired over the users scored in both"
    strong, plain = by_claim["strong wins"].difference, by_claim["plain wins"].difference
    assert strong.users.difference == pytest.approx(-plain.users.difference)
    assert by_claim["strong wins"].p == strong.users.p, "the only pair of its claim"


def test_pairs_of_one_claim_are_adjusted_together(bench: Build) -> None:
    b = bench()
    claims = (Claim("twice", "strong", "plain"), Claim("twice", "same", "plain"), Claim("alone", "written", "plain"))
    experiment = replace(b.experiment, claims=claims, says={"twice": "", "alone": ""})
    table = evaluate(experiment, b.context, b.place, jobs=plan(experiment, b.context, b.place, seeds=(1, 2)))
    p = {v.difference.better: (v.p, v.difference.users.p) for v in table.verdicts}
    assert p["strong"][0] == pytest.approx(2 * p["strong"][1], rel=1e-3)
    assert p["same"][0] == p["same"][1] and p["written"][0] == p["written"][1]


def test_the_difference_is_that_of_the_table(bench: Build) -> None:
    b = bench()
    table = evaluate(b.experiment, b.context, b.place, jobs=plan(b.experiment, b.context, b.place, seeds=(1, 2)))
    strong, plain = table.rows["strong"], table.rows["plain"]
    delta = strong.delta["recall@10"].users.difference
    assert delta == pytest.approx(strong.users["recall@10"].mean - plain.users["recall@10"].mean, abs=1e-6)
    per_seed = [
        s.test["recall@10"].mean - p.test["recall@10"].mean for s, p in zip(strong.runs, plain.runs, strict=True)
    ]
    assert strong.delta["recall@10"].seeds == pytest.approx(per_seed, abs=1e-6)


def test_a_table_filled_in_parts_keeps_earlier_verdicts(bench: Build) -> None:
    b = bench()
    evaluate(
        b.experiment,
        b.context,
        b.place,
        jobs=plan(b.experiment, b.context, b.place, seeds=(1,), cells=b.experiment.select("plain;strong")),
    )
    table = evaluate(
        b.experiment,
        b.context,
        b.place,
        jobs=plan(b.experiment, b.context, b.place, seeds=(1,), cells=b.experiment.select("popularity")),
    )
    assert {v.claim for v in table.verdicts} == {"strong wins", "plain wins", "anything beats popularity"}


def test_a_pair_that_can_say_nothing_is_not_judged_and_costs_the_others_nothing(bench: Build) -> None:
    b = bench()

    same_cell = next(c for c in b.experiment.cells if c.name == "same")

    def doubtful(context: Context, seed: int) -> Told:
        return replace(same_cell.function(context, seed), doubts=("every preference is the same text",))

    cells = tuple(replace(c, function=doubtful) if c.name == "same" else c for c in b.experiment.cells)
    claims = (Claim("twice", "strong", "plain"), Claim("twice", "same", "plain"))
    experiment = replace(b.experiment, cells=cells, claims=claims, says={"twice": ""})
    table = evaluate(experiment, b.context, b.place, jobs=plan(experiment, b.context, b.place, seeds=(1, 2, 3)))
    strong, same = table.verdicts
    assert (strong.verdict, same.verdict) == ("supported", "uninformative")
    assert same.why == "same: every preference is the same text"
    assert strong.p == strong.difference.users.p, "the only pair tested"
    assert same.sentence.endswith(f": uninformative, {same.why}.") and "permutation" not in same.sentence
    assert summary_of_claim([same]) == "Uninformative."
    assert summary_of_claim([strong, same]) == "Mixed: of 2 comparisons 1 supported, 1 uninformative."
    again = evaluate(replace(experiment, claims=(), says={}), b.context, b.place, jobs=[])
    assert again.verdicts == table.verdicts, "kept where only another part of the table is computed"


def test_a_double_in_a_models_place_and_data_that_only_exercise_code_carry_no_verdict(bench: Build) -> None:
    b = bench()
    doubled = tuple(replace(c, models=("extractive",)) if c.name == "strong" else c for c in b.experiment.cells)
    for experiment, why in (
        (replace(b.experiment, cells=doubled), "extractive is no language model"),
        (replace(b.experiment, unjudged="the data are generated"), "the data are generated"),
    ):
        table = evaluate(experiment, b.context, b.place, jobs=plan(experiment, b.context, b.place, seeds=(1, 2, 3)))
        said = next(v for v in table.verdicts if v.claim == "strong wins")
        assert (said.verdict, said.why) == ("no verdict", why) and said.sentence.endswith(f"{why}: no verdict.")
        b.place.table(table.slug).unlink()
    real = tuple(replace(c, models=("vllm:Qwen/Qwen3-8B",)) if c.name == "strong" else c for c in b.experiment.cells)
    experiment = replace(b.experiment, cells=real)
    table = evaluate(experiment, b.context, b.place, jobs=plan(experiment, b.context, b.place, seeds=(1, 2, 3)))
    assert next(v for v in table.verdicts if v.claim == "strong wins").verdict == "supported"


def test_two_rows_without_any_difference_between_examples_say_nothing(bench: Build) -> None:
    """As where no target was retrieved by either."""
    b = bench()

    def nothing(_context: Context, _seed: int) -> Told:
        return Told([Ranking(user, 50, 0, 100) for user in range(40)])

    cells = tuple(replace(c, function=nothing) if c.name in ("strong", "plain") else c for c in b.experiment.cells)
    experiment = replace(b.experiment, cells=cells, claims=(Claim("wins", "strong", "plain"),), says={"wins": ""})
    table = evaluate(experiment, b.context, b.place, jobs=plan(experiment, b.context, b.place, seeds=(1,)))
    (said,) = table.verdicts
    assert (said.verdict, said.why) == ("uninformative", "all examples of both came to 0")


def test_one_side_at_its_end_for_every_example_says_nothing(bench: Build) -> None:
    """As where no search finished: whatever beats nothing at all is not shown to be good."""
    b = bench()

    def nothing(_context: Context, _seed: int) -> Told:
        return Told([Ranking(user, 50 + user % 7, 0, 100) for user in range(400)])

    cells = tuple(replace(c, function=nothing) if c.name == "plain" else c for c in b.experiment.cells)
    experiment = replace(b.experiment, cells=cells, claims=(Claim("wins", "strong", "plain"),), says={"wins": ""})
    table = evaluate(experiment, b.context, b.place, jobs=plan(experiment, b.context, b.place, seeds=(1, 2)))
    (said,) = table.verdicts
    assert (said.verdict, said.why) == ("uninformative", "plain: ndcg@10 is 0 for every example")


def test_what_was_not_trained_has_no_noise_of_training() -> None:
    words = verdict("c", found(0.01, (0.01,)), 0.01, trained=False).sentence
    assert "training" not in words and words.endswith("users: supported.")


def test_one_sentence_for_several_pairs() -> None:
    good, bad = (verdict("c", found(d, (d,)), 0.01, trained=False) for d in (0.01, -0.01))
    open_ = verdict("c", found(0.01, (0.01,)), 0.5, trained=False)
    assert summary_of_claim([good, good]) == "Supported in all 2 comparisons."
    assert summary_of_claim([bad]) == "Contradicted."
    assert summary_of_claim([open_]) == "Not supported."
    assert summary_of_claim([good, bad, open_]) == "Mixed: of 3 comparisons 1 supported, 1 contradicted, 1 undecided."
