"""What decodes local weights: every row as if it were alone, nothing read twice, and no row waits for another's end."""

from __future__ import annotations

import asyncio
import json
import random
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from whyrec.errors import UnknownNameError
from whyrec.llm.labels import read_labels
from whyrec.llm.model import AnswerFormat, Message, ModelError, Refused, Request, Sampling
from whyrec.llm.registry import open_provider
from whyrec.settings import read_settings

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from whyrec.llm.providers.decoding import loading  # noqa: E402
from whyrec.llm.providers.decoding.packed import Packed, packed  # noqa: E402
from whyrec.llm.providers.decoding.rows import Call, Writing  # noqa: E402
from whyrec.llm.providers.decoding.single import Single  # noqa: E402
from whyrec.llm.providers.decoding.trunks import Trunks  # noqa: E402

STATIC = "You study one user and say what the user likes in hiking socks and quiet trails. "


def ask(text: str, tokens: int, **more: Any) -> Request:
    return Request((Message("system", STATIC), Message("user", text)), Sampling(max_tokens=tokens), **more)


# long and short prompts, long and short answers, most of them with the same beginning
MIXED = [ask("warm socks " * (1 + 3 * (i % 5)) + f"number {i}", 3 + 7 * (i % 6)) for i in range(14)]
MIXED += [Request((Message("user", f"{i} trails?"),), Sampling(max_tokens=5 + i)) for i in range(4)]


@pytest.fixture(scope="module")
def network(tiny_model: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_model).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def alone(network: Any, tokenizer: Any) -> dict[Request, str]:
    """What transformers itself answers, row by row, before anything of ours has touched the network."""
    return {request: greedy(network, tokenizer, request) for request in MIXED}


def greedy(network: Any, tokenizer: Any, request: Request) -> str:
    turns = [{"role": m.role, "content": m.content} for m in request.messages]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    more = {"max_new_tokens": request.sampling.max_tokens, "do_sample": False}
    out = network.generate(ids, attention_mask=torch.ones_like(ids), **more)
    return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))


def opened(folder: Path, options: str = "") -> Any:
    return open_provider(f"transformers:{folder}?dtype=float32{options}", settings=read_settings())


class Counted:
    """A way that notes what was read in each pass."""

    def __init__(self, way: Any) -> None:
        self._way, self.passes = way, []

    def forward(self, pieces: Any) -> Any:
        self.passes.append([len(piece.ids) for piece in pieces])
        return self._way.forward(pieces)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._way, name)

    @property
    def tokens(self) -> int:
        return sum(map(sum, self.passes))


def counted(model: Any) -> Counted:
    model._scheduler._way = way = Counted(model._scheduler._way)
    return way


@pytest.mark.parametrize("way", ["leaning", "copying", "single"])
async def test_answers_are_those_of_a_row_alone_whoever_comes_and_goes(
    tiny_model: Path, alone: dict[Request, str], way: str
) -> None:
    model = opened(tiny_model, "&batch=5")
    if way == "single":
        model._scheduler._way = Single(transformers.AutoModelForCausalLM.from_pretrained(tiny_model).eval())
    else:
        assert isinstance(model._scheduler._way, Packed) and model._scheduler._way._leaning
        model._scheduler._way._leaning = way == "leaning"

    async def late(request: Request, i: int) -> str:
        await asyncio.sleep(0.004 * (i % 7))
        return str((await model.complete(request))[0].text)

    found = await asyncio.gather(*(late(request, i) for i, request in enumerate(MIXED)))
    assert found == [alone[request] for request in MIXED]
    await model.close()


async def test_the_shared_beginning_is_read_once_and_a_row_that_ends_costs_nothing_more(tiny_model: Path) -> None:
    model = opened(tiny_model)
    way = counted(model)
    drawn = replace(ask("warm socks?", 20), sampling=Sampling(1.0, max_tokens=20, seed=1), samples=tuple(range(6)))
    replies = await model.complete(drawn)
    prompt = replies[0].usage.prompt
    said = sum(reply.usage.completion for reply in replies)
    # the prompt less its last token once, that token for each sample, and each said token that is followed by another
    assert way.tokens == (prompt - 1) + 6 + said - 6
    ends = [reply.usage.completion for reply in replies]
    assert [len(read) for read in way.passes[1:]] == [sum(n > i for n in ends) for i in range(1, max(ends))]
    before = way.tokens
    first = (await model.complete(ask("warm socks and trails", 1)))[0]
    second = (await model.complete(ask("warm and quiet, number 9", 1)))[0]
    static = len(model._rendering.ids(f"<|im_start|>system\n{STATIC}<|im_end|>\n<|im_start|>user\n"))
    shared = static // 16 * 16
    assert shared >= 32 and second.usage.cached >= shared and first.usage.cached >= shared
    assert way.tokens - before <= first.usage.prompt + second.usage.prompt - 2 * shared
    await model.close()


async def test_options_are_scored_on_one_reading_of_the_prompt(tiny_model: Path) -> None:
    model = opened(tiny_model)
    way = counted(model)
    scores = await model.score(ask("Which?", 1), ["A", "B", "C", "B"])
    assert len(way.passes) == 1 and way.tokens == (await model.complete(ask("Which?", 1)))[0].usage.prompt
    assert scores[1] == scores[3] and len({score.total for score in scores}) == 3
    await model.close()


async def test_a_long_row_does_not_hold_back_a_short_one(tiny_model: Path) -> None:
    model = opened(tiny_model, "&batch=2")
    order: list[str] = []

    async def one(name: str, request: Request) -> None:
        await model.complete(request)
        order.append(name)

    shorts = [one(f"short {i}", ask(f"{i}", 2)) for i in range(5)]
    await asyncio.gather(one("long", ask("long", 90)), *shorts)
    assert order[-1] == "long" and len(order) == 6
    await model.close()


async def test_a_row_that_nobody_waits_for_ends_with_the_next_step(tiny_model: Path) -> None:
    model = opened(tiny_model)
    way = counted(model)
    task = asyncio.create_task(model.complete(ask("long", 150)))
    while len(way.passes) < 4:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await model.complete(ask("next", 2))
    assert len(way.passes) < 100
    await model.close()


async def test_what_breaks_a_pass_fails_its_rows_and_no_later_ones(tiny_model: Path) -> None:
    model = opened(tiny_model)
    before = (await model.complete(MIXED[3]))[0].text
    inner, model._scheduler._way.forward = model._scheduler._way.forward, lambda pieces: 1 / 0
    with pytest.raises(ModelError, match="ZeroDivisionError"):
        await model.complete(MIXED[4])
    model._scheduler._way.forward = inner
    assert (await model.complete(MIXED[3]))[0].text == before
    await model.close()


SMALL = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "initializer_range": 0.4}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}


@pytest.mark.parametrize(
    ("kind", "fast", "more"),
    [
        ("Llama", True, HEADS),
        ("GPT2", True, {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}),
        ("Mistral", True, {**HEADS, "sliding_window": 6}),
        ("Gemma3Text", True, {**HEADS, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]}),
        ("Gemma2", False, HEADS),  # caps its attention
        ("Mamba", False, {"state_size": 4}),  # has none
    ],
)
def test_families_of_networks_are_read_as_they_read_themselves(kind: str, fast: bool, more: dict[str, Any]) -> None:
    torch.manual_seed(3)
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **more}, use_cache=True, pad_token_id=0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    ids = [random.Random(5).randrange(90) for _ in range(40)]
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
        way: Any = packed(model, ids[:12])
        assert (way is not None) == fast
        way = way or Single(model)
        rows = [_row(ids[:30]), _row(ids[:9]), _row(ids[:26])]
        trunks, pieces = Trunks(), []
        for slot, row in enumerate(rows):
            pieces += trunks.lean(row, []) if way.shares else []
            pieces.append(_piece(row, row.ids[row.shared :], row.shared, slot))
        found = [way.forward(pieces)]
        for k in range(8):
            found.append(
                way.forward([_piece(row, [ids[len(row.ids) + k]], len(row.ids) + k, s) for s, row in enumerate(rows)])
            )
    for k, part in enumerate(found):
        for row, logits in zip(rows, part, strict=True):
            assert torch.allclose(logits, expected[len(row.ids) + k - 1], atol=1e-4)


def _row(ids: list[int]) -> Writing:
    return Writing(ids, Call(1, len(ids)), limit=9)


def _piece(row: Writing, ids: list[int], start: int, slot: int) -> Any:
    from whyrec.llm.providers.decoding.store import Piece

    return Piece(ids, start, 1, slot, row.trunk, row.shared)


def test_what_rows_share_is_found_and_let_go() -> None:
    trunks, static = Trunks(), list(range(100))
    rows = [_row([*static, 200 + i, 201, 202]) for i in range(3)]
    assert trunks.lean(rows[0], rows[1:])[0].into is rows[0].trunk and rows[0].shared == 96
    assert trunks.lean(rows[1], rows[2:]) == [] and rows[1].trunk is rows[0].trunk and rows[1].shared == 96
    samples = Call(4, 60)
    row = Writing(list(range(500, 560)), samples, limit=9)
    (piece,) = trunks.lean(row, [])
    assert (row.shared, piece.start, len(piece.ids)) == (59, 0, 59)  # its last token is its own
    alone = _row([7] * 20)
    assert trunks.lean(alone, []) == [] and alone.trunk is None
    for i in range(20):
        row = Writing([1000 + i] * 60, Call(2, 60), limit=9)
        trunks.lean(row, [])
        trunks.leave(row)
    assert rows[0].trunk in trunks._trunks and len(trunks._trunks) <= 2 + 6 + 1


def test_nobody_waiting_is_no_error() -> None:
    row = _row([1])
    row.done = Future()
    row.done.cancel()
    row.settle()
    row.settle(ModelError("late."))


async def test_in_bfloat16_labels_and_scores_are_those_of_its_own_weights(tiny_model: Path) -> None:
    """Read in two ways, restricted to one token and scored one by one, of which only the rounding within may differ."""
    model = open_provider(f"transformers:{tiny_model}?dtype=bfloat16", settings=read_settings())
    assert model.revision.startswith(opened(tiny_model).revision[:16]) and "-bfloat16" in model.revision
    found = [
        list((await read_labels(model, MIXED[2], ["A", "B", "C"], ways=(way,))).probabilities.values())
        for way in ("logprobs", "score")
    ]
    assert found[0] == pytest.approx(found[1], abs=0.002)


SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "maxLength": 8},
        "likes": {"type": "array", "items": {"enum": ["socks", "trails"]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["kind", "likes"],
    "additionalProperties": False,
}
JSON = AnswerFormat("json", "kind", json.dumps(SCHEMA))


async def test_a_grammar_makes_random_weights_write_json_of_the_schema(tiny_model: Path) -> None:
    pytest.importorskip("llguidance")
    model = opened(tiny_model)
    assert model.revision.endswith("-json")
    drawn = replace(ask("socks?", 60, format=JSON), sampling=Sampling(1.0, max_tokens=60, seed=3), samples=(0, 1, 2))
    for reply in [*await model.complete(drawn), *await model.complete(ask("trails?", 60, format=JSON))]:
        answer = json.loads(reply.text)
        assert answer.keys() == {"kind", "likes"} and len(answer["kind"]) <= 8
        assert 1 <= len(answer["likes"]) <= 2 and set(answer["likes"]) <= {"socks", "trails"}
        assert reply.finish_reason == "stop"
    begun = replace(ask("socks?", 60, format=JSON), prefix='{"kind": "wo')
    (reply,) = await model.complete(begun)
    assert json.loads(begun.prefix + reply.text)["kind"].startswith("wo")
    thought = replace(begun, prefix='<think>\nSocks {"a": 1}.\n</think>\n\n')
    assert json.loads((await model.complete(thought))[0].text).keys() == {"kind", "likes"}


async def test_without_a_grammar_answers_are_free_and_the_revision_says_so(tiny_model: Path) -> None:
    free = opened(tiny_model, "&grammar=off")
    assert not free.revision.endswith("-json")
    (reply,) = await free.complete(ask("socks?", 12, format=JSON))
    assert not reply.text.startswith("{")
    with pytest.raises(UnknownNameError, match="grammar"):
        opened(tiny_model, "&grammar=maybe")


async def test_a_schema_that_no_grammar_knows_is_refused_or_left_free(tiny_model: Path) -> None:
    pytest.importorskip("llguidance")
    odd = AnswerFormat("json", "odd", json.dumps({"type": "object", "not": {"required": ["a"]}}))
    (reply,) = await opened(tiny_model).complete(ask("socks?", 4, format=odd))
    assert reply.text
    with pytest.raises(Refused, match="cannot enforce"):
        await opened(tiny_model, "&grammar=on").complete(ask("socks?", 4, format=odd))


def test_loading_is_told_where_it_takes_a_while_and_not_where_quiet_is_asked(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name = f"transformers:{tiny_model}?dtype=float32"
    open_provider(name, settings=read_settings())
    assert capfd.readouterr() == ("", "")  # neither ours, which was quick, nor transformers' bars
    monkeypatch.setattr(loading, "_PATIENCE_S", 0.0)
    open_provider(name, settings=read_settings(quiet=True))
    assert capfd.readouterr() == ("", "")
    open_provider(name, settings=read_settings())
    said = capfd.readouterr().err.splitlines()
    assert said[0].startswith(f"Loading transformers:{tiny_model}") and said[-1].startswith("Loaded transformers:")
    assert len(said) == 2
