"""Local weights: the same numbers as transformers itself, whatever else is decoded in the same batch."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.labels import read_labels
from whyrec.llm.model import Message, Refused, Request, Sampling
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ASK = Request((Message("system", "You are terse."), Message("user", "warm socks?")), Sampling(max_tokens=12))


@pytest.fixture(scope="module")
def opened(tiny_model: Path) -> Any:
    return open_provider(f"transformers:{tiny_model}?dtype=float32", settings=read_settings())


@pytest.fixture(scope="module")
def reference(tiny_model: Path) -> tuple[Any, Any]:
    """transformers' own model and tokenizer."""
    return (
        transformers.AutoModelForCausalLM.from_pretrained(tiny_model).eval().requires_grad_(False),
        transformers.AutoTokenizer.from_pretrained(tiny_model),
    )


def rendered(tokenizer: Any, request: Request, more: str = "") -> Any:
    messages = [{"role": m.role, "content": m.content} for m in request.messages]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text + more, add_special_tokens=False, return_tensors="pt")["input_ids"]


async def test_greedy_decoding_is_that_of_generate(opened: Any, reference: tuple[Any, Any]) -> None:
    model, tokenizer = reference
    ids = rendered(tokenizer, ASK)
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    (reply,) = await opened.complete(replace(ASK, top_logprobs=3))
    assert reply.text == tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
    assert reply.usage.prompt == ids.shape[1] and reply.finish_reason == "length"
    logits = model(ids).logits[0, -1].float().log_softmax(-1)
    assert reply.logprobs[0].logprob == pytest.approx(float(logits.max()), abs=1e-4)
    assert len(reply.logprobs) == 12 and all(len(token.top) == 3 for token in reply.logprobs)


@pytest.mark.parametrize("habit", ["raise_exception('System role not supported')", "''"])
async def test_a_template_without_a_system_role_gets_the_text_with_the_question(
    tiny_model: Path, tmp_path: Path, habit: str
) -> None:
    template = tmp_path / "gemma.jinja"
    template.write_text(
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ HABIT }}{% else %}<|im_start|>{{ m['role'] }}\n"
        "{{ m['content'] }}<|im_end|>\n{% endif %}{% endfor %}".replace("HABIT", habit)
    )
    model: Any = open_provider(f"transformers:{tiny_model}?template={template}", settings=read_settings())
    _, text = model._rendering.prompt(ASK)
    assert "You are terse.\n\nwarm socks?" in text and model.system_way == "system=user"
    assert (await model.complete(ASK))[0].usage.prompt == len(model._rendering.ids(text))


async def test_a_sample_does_not_depend_on_who_shares_its_batch(opened: Any) -> None:
    drawn = replace(ASK, sampling=Sampling(temperature=1.0, top_p=0.9, seed=5, max_tokens=10), samples=(0, 1, 2))
    together = [r.text for r in await opened.complete(drawn)]
    others = [replace(drawn, messages=(Message("user", "A much longer question " * k),)) for k in range(1, 4)]
    crowd = await asyncio.gather(opened.complete(replace(drawn, samples=(2,))), *map(opened.complete, others))
    assert crowd[0][0].text == together[2] and len(set(together)) == 3


async def test_scores_are_the_models_own_logits(opened: Any, reference: tuple[Any, Any]) -> None:
    model, tokenizer = reference
    scores = await opened.score(replace(ASK, prefix="I like"), [" warm socks", " trails and more trails", ""])
    base = rendered(tokenizer, ASK, "I like")
    for score in scores[:2]:
        whole = rendered(tokenizer, ASK, "I like" + score.continuation)
        assert torch.equal(whole[:, : base.shape[1]], base)
        logprobs = model(whole).logits[0, :-1].float().log_softmax(-1)
        places = range(base.shape[1], whole.shape[1])
        expected = [float(logprobs[i - 1, whole[0, i]]) for i in places]
        assert score.logprobs == pytest.approx(expected, abs=1e-4)
    assert scores[2].logprobs == () and scores[2].mean == 0.0


async def test_labels_equal_the_softmax_over_the_labels_logits(opened: Any, reference: tuple[Any, Any]) -> None:
    model, tokenizer = reference
    labels = ["A", "B", "C"]
    ids = rendered(tokenizer, ASK)
    label_ids = [tokenizer.encode(label, add_special_tokens=False) for label in labels]
    assert all(len(found) == 1 for found in label_ids)
    expected = model(ids).logits[0, -1, [found[0] for found in label_ids]].float().softmax(-1).tolist()
    masked = await read_labels(opened, ASK, labels, ways=("logprobs",))
    scored = await read_labels(opened, ASK, labels, ways=("score",))
    for reading in (masked, scored):
        assert list(reading.probabilities.values()) == pytest.approx(expected, abs=1e-5)
        assert math.fsum(reading.probabilities.values()) == pytest.approx(1.0)
    assert masked.mass == pytest.approx(1.0) and scored.mass < 1.0


async def test_labels_of_several_tokens_are_scored(opened: Any) -> None:
    reading = await read_labels(opened, ASK, ["Yes, always", "No, never"])
    assert reading.way == "score" and set(reading.probabilities) == {"Yes, always", "No, never"}
    (reply,) = await opened.complete(replace(ASK, format=choice(["Yes, always", "No, never"])))
    assert reply.text in ("Yes, always", "No, never") and reply.finish_reason == "stop"


def choice(labels: list[str]) -> Any:
    from whyrec.llm.labels import choice_format

    return choice_format(labels)


async def test_stop_texts_and_prefixes(opened: Any) -> None:
    (whole,) = await opened.complete(ASK)
    stop = whole.text[3:5]
    (reply,) = await opened.complete(replace(ASK, sampling=Sampling(max_tokens=12, stop=(stop,))))
    assert reply.text == whole.text.partition(stop)[0] and reply.finish_reason == "stop"
    (begun,) = await opened.complete(replace(ASK, prefix=whole.text[:4], sampling=Sampling(max_tokens=4)))
    assert not begun.text.startswith(whole.text[:4])
    (thinking,) = await opened.complete(replace(ASK, prefix="<think>\n"))
    assert thinking.text == "" and thinking.reasoning


async def test_a_prompt_that_is_too_long_is_refused(opened: Any) -> None:
    with pytest.raises(Refused, match="at most 256 tokens"):
        await opened.complete(Request((Message("user", "warm socks " * 300),)))
    with pytest.raises(Refused, match="at most 256 tokens"):
        await opened.score(ASK, ["socks " * 300])


async def test_two_event_loops_share_the_weights(opened: Any) -> None:
    here = (await opened.complete(ASK))[0].text
    there = await asyncio.to_thread(lambda: asyncio.run(opened.complete(ASK))[0].text)
    assert here == there


def test_what_cannot_be_opened_is_explained(tiny_model: Path, tmp_path: Path) -> None:
    settings = read_settings()
    with pytest.raises(UsageError, match="cannot be loaded"):
        open_provider(f"transformers:{tmp_path / 'nothing'}", settings=settings)
    with pytest.raises(UnknownNameError, match="devise"):
        open_provider(f"transformers:{tiny_model}?devise=cpu", settings=settings)
    with pytest.raises(UnknownNameError, match="dtype"):
        open_provider(f"transformers:{tiny_model}?dtype=int3", settings=settings)


def test_a_base_model_needs_a_template_and_can_be_given_one(tiny_model: Path, tmp_path: Path) -> None:
    import json
    import shutil

    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    for path in base.glob("*.jinja"):
        path.unlink()
    config = json.loads((base / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"\?template=FILE"):
        open_provider(f"transformers:{base}", settings=read_settings())
    (tmp_path / "plain.jinja").write_text("{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    model: Any = open_provider(f"transformers:{base}?template={tmp_path / 'plain.jinja'}", settings=read_settings())
    assert model.revision and "template" in model.name


async def test_thoughts_follow_a_template_that_begins_them_as_they_follow_one_that_does_not(
    tiny_model: Path, tmp_path: Path
) -> None:
    """QwQ's template ends in <think>; a thought to go on from is told once, by whichever of the two."""
    plain = (tiny_model / "chat_template.jinja").read_text(encoding="utf-8")
    begins = tmp_path / "begins.jinja"
    begins.write_text(plain.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}"), encoding="utf-8")
    assert begins.read_text(encoding="utf-8") != plain
    request = replace(ASK, prefix="<think>\nwarm, so\n</think>\n\n")
    found = []
    for name in (f"transformers:{tiny_model}", f"transformers:{tiny_model}?template={begins}"):
        model = open_provider(name, settings=read_settings())
        (score,) = await model.score(request, ["Yes"])  # type: ignore[attr-defined]
        found.append(score.logprobs)
    assert found[0] == pytest.approx(found[1], abs=1e-6)
