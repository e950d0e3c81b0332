"""What chooses the next token of local weights: draws, what they are drawn from, texts that stop, rounded logits."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from whyrec.llm.model import Request, Sampling

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from whyrec.llm.providers.decoding.choosing import Chooser  # noqa: E402
from whyrec.llm.providers.decoding.head import Head  # noqa: E402
from whyrec.llm.providers.decoding.rows import Call, Writing  # noqa: E402
from whyrec.llm.providers.decoding.stopping import Stops  # noqa: E402


def _drawing(seed: int, temperature: float, top_p: float = 1.0) -> Writing:
    request = Request((), Sampling(temperature, top_p=top_p, seed=seed, max_tokens=10**6))
    return Writing([1], Call(1, 1), request=request, limit=10**6)


def test_draws_follow_the_distribution_and_no_neighbour_changes_them() -> None:
    logits = torch.tensor([1.0, 0.0, -1.0, float("-inf"), 2.0])
    chooser = Chooser(str)
    row, crowd = _drawing(3, 0.7), [_drawing(3, 0.7), *(_drawing(i, 1.3, 0.8) for i in range(9))]
    for _ in range(4000):
        chooser.step([row], logits[None].clone())
    for _ in range(50):
        chooser.step(crowd, logits.repeat(10, 1))
    assert crowd[0].said == row.said[:50]
    counts = np.bincount(row.said, minlength=5)
    expected = 4000 * (logits / 0.7).softmax(-1).numpy()
    assert counts[3] == 0
    assert float((((counts - expected) ** 2)[expected > 0] / expected[expected > 0]).sum()) < 20  # chi-square, 3 df


def test_only_the_likeliest_that_reach_top_p_are_drawn_however_many_they_are() -> None:
    chooser = Chooser(str)
    narrow, wide = _drawing(1, 1.0, 0.6), _drawing(2, 1.0, 0.9)
    steep = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    flat = torch.zeros(3000)
    for _ in range(300):
        chooser.step([narrow], steep[None].clone())
        chooser.step([wide], flat[None].clone())
    assert set(narrow.said) == {0, 1}
    assert len(set(wide.said)) > 250  # more than are sorted at first


@pytest.mark.parametrize("seed", range(5))
def test_stop_texts_are_found_where_reading_everything_again_finds_them(seed: int) -> None:
    draw = random.Random(seed)
    text = "".join(draw.choices(["a", "b", "\n", "é", "日", "🙂", " "], k=60)).encode()
    said, tokens = [], []
    while text:  # tokens are stretches of bytes: characters may be cut
        size = draw.randint(1, 3)
        tokens.append(text[:size])
        text = text[size:]

    def decode(ids: Any) -> str:
        return b"".join(tokens[i] for i in ids).decode(errors="replace")

    stops = ["a\nb", "🙂", "b a"]
    watched = Stops(stops, decode)
    for i in range(len(tokens)):
        said.append(i)
        expected = any(stop in decode(said) for stop in stops)
        assert watched.seen(said) == expected
        if expected:
            break


def test_rounded_logits_are_made_exact_where_they_decide() -> None:
    torch.manual_seed(1)
    head = torch.nn.Linear(16, 700, bias=False).bfloat16().requires_grad_(False)
    network = type("Network", (), {"get_output_embeddings": lambda self: head})()
    watched, hidden = Head(network), torch.randn(5, 16).bfloat16()
    rounded = head(hidden).float()
    exact = hidden.float() @ head.weight.float().T
    logits = rounded[[3, 1, 4]].clone()
    logits[2, 300:] = float("-inf")
    logits[1, torch.arange(700) % 70 != 0] = float("-inf")
    watched.sharpen(logits, [3, 1, 4], [1, 2])
    assert int(logits[0].argmax()) == int(exact[3].argmax())
    assert float(logits[0].max()) == pytest.approx(float(exact[3].max()), abs=1e-6)
    assert torch.allclose(logits[1, ::70], exact[1, ::70], atol=1e-6) and int(logits[1].isfinite().sum()) == 10
    assert torch.allclose(logits[2, :300], exact[4, :300], atol=1e-6) and not logits[2, 300:].isfinite().any()
    assert (rounded - exact).abs().max() > 1e-4  # or the rounding would not show
