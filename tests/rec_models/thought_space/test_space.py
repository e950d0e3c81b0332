"""A space learns which reasons belong to which behaviours, keeps its word about masks, and is what was saved."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from rec_models.thought_space.fit import Pairs, ThoughtFit, fit_space, info_nce, retrieval_mrr, split_users
from rec_models.thought_space.space import SpaceSettings, ThoughtSpace, read_note
from whyrec.embed import open_embedder
from whyrec.errors import UsageError

SMALL = SpaceSettings(width=64)
QUICK = ThoughtFit(epochs=12, lr=2e-3, patience=4)


def clusters(n: int = 400, kinds: int = 12, seed: int = 0) -> Pairs:
    """Pairs whose two texts share no word but the cluster they come from."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, n)
    noise = rng.integers(0, 300, (n, 2))
    rationales = tuple(f"why{k} because{k} r{a}" for k, (a, _) in zip(kind, noise, strict=True))
    behaviours = tuple(f"took{k} then{k} b{b}" for k, (_, b) in zip(kind, noise, strict=True))
    return Pairs(np.arange(n), kind.astype(np.int64), rationales, behaviours)


def trained(pairs: Pairs, seed: int = 0) -> tuple[ThoughtSpace, object]:
    space = ThoughtSpace.over(open_embedder("hashed:128"), SMALL)
    return space, fit_space(space, pairs, QUICK, seed=seed)


def test_paired_clusters_are_found_and_held_out_mrr_rises():
    space, report = trained(clusters())
    assert report.mrr_before < 0.3 and report.mrr > 0.9 and report.best_epoch > 0
    assert report.held_out == 40 and report.pairs == 360 and report.losses[-1] < report.losses[0]
    fresh = clusters(60, seed=9)
    points = space.behaviours(fresh.behaviours) @ space.rationales(fresh.rationales).T
    same = fresh.targets[:, None] == fresh.targets[None, :]
    assert points[same].mean() > points[~same].mean() + 0.5
    of_zero = space.scores(["why0 because0 r1", "why5 because5 r1"], "took0 then0 b1")
    assert of_zero[0] > of_zero[1] + 0.5


def test_pairs_without_a_pattern_teach_nothing_and_the_start_is_kept():
    pairs = clusters()
    mixed = dataclasses.replace(pairs, rationales=tuple(np.random.default_rng(1).permutation(pairs.rationales)))
    _, report = trained(dataclasses.replace(mixed, targets=np.arange(len(pairs))))
    assert report.mrr < 0.2
    assert report.mrr >= report.mrr_before, "the kept weights are never worse than the start"


def test_an_untrained_space_scores_the_plain_cosine():
    embedder = open_embedder("hashed:32")
    space = ThoughtSpace.over(embedder, SMALL)
    a, b = embedder.embed(["soft warm socks"]), embedder.embed(["warm wool socks for hiking"])
    score = space.scores(["soft warm socks"], "warm wool socks for hiking")
    assert score[0] == pytest.approx(float((a @ b.T)[0, 0]), abs=1e-5)
    assert space.rationales(["soft warm socks"]).shape == (1, 64)


def test_training_is_the_same_for_a_seed_and_another_for_another():
    pairs = clusters(120)
    (one, first), (two, second), (three, _) = trained(pairs), trained(pairs), trained(pairs, seed=1)
    assert first.losses == second.losses and first.mrrs == second.mrrs
    assert torch.equal(one.rationale.head.weight, two.rationale.head.weight)
    assert not torch.equal(one.rationale.head.weight, three.rationale.head.weight)


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    trained(clusters(60))
    assert torch.equal(torch.rand(1), expected)


def test_same_users_targets_and_texts_are_no_negatives():
    pairs = Pairs(np.array([0, 1, 2, 2]), np.array([7, 7, 8, 9]), ("a", "b", "c", "a"), ("p", "q", "r", "s"))
    assert pairs.same().tolist() == [
        [True, True, False, True],  # 1: same target; 3: same rationale
        [True, True, False, False],
        [False, False, True, True],  # 3: same user
        [True, False, True, True],
    ]


def test_the_loss_sees_only_allowed_negatives():
    similarity = torch.tensor([[1.0, 50.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    allowed = ~torch.eye(3, dtype=torch.bool)
    allowed[0, 1] = False  # the large one is a right answer too
    allowed[1] = False  # nothing to push from: the row does not count
    loss = info_nce(similarity, allowed, negatives=10, draw=None)
    rows = [torch.log1p(torch.tensor(1.0).exp()), torch.log(1 + 2 * torch.exp(torch.tensor(-1.0)))]
    assert float(loss) == pytest.approx(float(sum(rows)) / 2, rel=1e-5)
    assert float(info_nce(similarity, torch.zeros(3, 3, dtype=torch.bool), negatives=10, draw=None)) == 0.0


def test_ten_negatives_are_drawn_of_a_larger_batch():
    size = 40
    similarity, allowed = torch.zeros(size, size), ~torch.eye(size, dtype=torch.bool)
    loss = info_nce(similarity, allowed, negatives=10, draw=torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(np.log(11), rel=1e-5), "equal scores: one of 1 + 10"


def test_mrr_counts_ties_in_expected_order_and_leaves_equal_answers_out():
    assert retrieval_mrr(np.eye(4)) == 1.0
    assert retrieval_mrr(np.zeros((2, 2))) == pytest.approx(0.75)
    beaten = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert retrieval_mrr(beaten) == pytest.approx(0.75)
    assert retrieval_mrr(beaten, np.ones((2, 2), bool)) == 1.0


def test_held_out_users_are_in_no_training_pair():
    users = np.repeat(np.arange(30), 2)
    train, held = split_users(users, 0.1, seed=3)
    assert not set(users[train]) & set(users[held]) and len(train) + len(held) == 60 and len(held) == 6


def test_too_few_pairs_are_refused():
    with pytest.raises(UsageError, match=r"at least 12 rationales .* there are 5"):
        trained(clusters(5))


def test_target_dropout_shows_the_told_text_in_training_only():
    pairs = clusters(200)
    noise = tuple(f"n{i} m{i}" for i in range(len(pairs)))
    told = dataclasses.replace(pairs, told=noise)
    found = {
        share: fit_space(
            ThoughtSpace.over(open_embedder("hashed:128"), SMALL), told, dataclasses.replace(QUICK, told=share)
        )
        for share in (0.0, 1.0)
    }
    assert found[0.0].mrr > 0.9, "the told text is never shown"
    assert found[1.0].mrr < 0.5, "nothing but the told text is trained on; held-out behaviours are the others"


def test_a_saved_space_is_the_same_space(tmp_path):
    space, _ = trained(clusters(60))
    space.save(tmp_path / "space", note={"mrr": 0.5})
    again = ThoughtSpace.load(tmp_path / "space", embedder=open_embedder("hashed:128"))
    texts = ["why1 because1", "why2 because2"]
    assert np.array_equal(again.rationales(texts), space.rationales(texts))
    assert read_note(tmp_path / "space") == {"mrr": 0.5} and again.kind == "head"
    with pytest.raises(UsageError, match=r"trained over 'hashed.*opened with 'hashed"):
        ThoughtSpace.load(tmp_path / "space", embedder=open_embedder("hashed:64"))
    with pytest.raises(UsageError, match="opened with no embedder"):
        ThoughtSpace.load(tmp_path / "space")
    with pytest.raises(UsageError, match="There is no thought space"):
        ThoughtSpace.load(tmp_path / "elsewhere")


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory):
    """A DistilBERT of two tiny layers, with a tokenizer of whole words, in a folder."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[PAD]", "[UNK]"] + [f"{w}{k}" for k in range(12) for w in ("why", "because", "took", "then")]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("tiny")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=len(words), dim=32, hidden_dim=64, n_layers=2, n_heads=2, max_position_embeddings=40
    )
    transformers.DistilBertModel(config).save_pretrained(folder)
    return folder


def test_a_transformer_is_fine_tuned_and_saved(tiny_encoder, tmp_path):
    space = ThoughtSpace.from_transformer(str(tiny_encoder), SpaceSettings(width=16, tokens=12))
    start = space.rationale.encoder.transformer.layer[0].ffn.lin1.weight.detach().clone()
    report = fit_space(space, clusters(100), ThoughtFit(epochs=5, lr=3e-3, encoder_lr=1e-3, patience=5))
    assert report.mrr > report.mrr_before + 0.3
    assert not torch.equal(start, space.rationale.encoder.transformer.layer[0].ffn.lin1.weight)
    space.save(tmp_path / "space")
    again = ThoughtSpace.load(tmp_path / "space")
    assert again.kind == "transformer"
    texts = ["took1 then1", "took2 then2 b7 b8"]
    assert np.allclose(again.behaviours(texts), space.behaviours(texts), atol=1e-6)


def test_padding_is_masked_out_of_the_mean(tiny_encoder):
    space = ThoughtSpace.from_transformer(str(tiny_encoder), SpaceSettings(width=16, tokens=12))
    alone = space.rationales(["why1 because1"])
    beside = space.rationales(["why1 because1", "took1 then1 took2 then2 took3 then3"])
    assert np.allclose(alone[0], beside[0], atol=1e-5)


def test_an_unknown_encoder_is_refused(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(UsageError, match="neither a folder with a model"):
        ThoughtSpace.from_transformer(str(tmp_path / "nothing"))
