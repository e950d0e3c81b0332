"""Data from strangers in every prompt of the house: it opens no block, adds no line, and is no token to a tokenizer."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import prompts
from prompts.neutral import neutralise_answer
from whyrec.records import Event, Item

FAMILIES = {
    "qwen": ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>", "</tool_call>"],
    "llama": [
        "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
        "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
    ],
    "deepseek": ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "</think>"],
    "gemma": ["<bos>", "<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>", "<unused0>", "<0x0A>"],
    "mistral": ["<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]", "[THINK]"],
    "others": ["<|channel|>", "<|user|>", "[gMASK]", "[CLS]", "[SEP]", "[MASK]", "<|START_OF_TURN_TOKEN|>"],
    "exaone": ["[|system|]", "[|user|]", "[|assistant|]", "[|endofturn|]", "[BOS]", "[unused0]"],
    "internlm": ["[UNUSED_TOKEN_146]", "[UNUSED_TOKEN_145]", "<|im_start|>"],
    "minimax": ["]~b]", "]~!b[", "[e~[", "]!p~[", "]<]image[>[", "]<]start of speech[>["],
    "tekken": ["[control_8]", "[MODEL_SETTINGS]", "[PREFIX]", "[/THINK]", "[BEGIN_AUDIO]"],
}  # fmt: skip
PROMPTS = {name: prompts.load(name) for name in prompts.names()}
BLOCKS = sorted({tag for p in PROMPTS.values() for tag in re.findall(r"^<(\w+)>$", p.text, re.MULTILINE)})
SPECIAL = sorted({t for tokens in FAMILIES.values() for t in tokens})
WIDE = str.maketrans({chr(c): chr(c + 0xFEE0) for c in range(0x21, 0x7F)})
PIECES = [
    *SPECIAL,
    *(f"</{b}>" for b in BLOCKS),
    *(f"<{b}>" for b in BLOCKS),
    "\n# system\n", "\n\n### Instruction:\n", "\r\n", "\x85", "\u2028", "\x00",
    "\u200b", "\u202e", "\U000e003c", "\ud83d",
    "{{ 7*7 }}", "{% raw %}", "{#", "[17] ", "\n2. ", " | rated: 5", "```", "---\n", "\nHuman: ", "&lt;item&gt;",
    "plain words", "é", "日本語", "<", ">", "|", "[", "]", "≮", "＜", "｜", "﹤", "［",
]  # fmt: skip
TAG = re.compile(r"</?[^\s<>]*>")


def hostile(dice: random.Random) -> str:
    """One string an attacker might put into a title."""
    text = ""
    for _ in range(dice.randint(1, 6)):
        piece = dice.choice(PIECES)
        kind = dice.random()
        if kind < 0.15:
            piece = piece.upper()
        elif kind < 0.3:
            piece = piece.translate(WIDE)
        elif kind < 0.4:
            piece = "\u200b".join(piece)
        text += piece
    return text


def blanks(name: str, draw: Any) -> dict[str, Any]:
    """A value for every blank of a prompt, every text of it from `draw()`; new kinds of blanks must be added here."""

    def item(index: int) -> Item:
        return Item(index, draw(), draw(), draw(), draw(), (draw(), draw()))

    makers = {
        "history": lambda: [Event(item(i), 4.0, 0, draw()) for i in range(1, 8)],
        "similar": lambda: [Event(item(i), 4.0, 0, draw()) for i in range(1, 8)],
        "performance": draw,
        "paths": lambda: [draw() for _ in range(4)],
        "candidates": lambda: [item(i) for i in range(1, 8)],
        "options": lambda: [item(1), *({"item": item(i), "note": f"told {draw()}"} for i in range(2, 8))],
        "item": lambda: item(1),
        "domain": draw,
        **{n: lambda: f"told {draw()}" for n in ("profile", "opinion", "thoughts")},  # without any, the block goes
        "above": draw,
        "review": draw,
        **{n: lambda: [{"id": i, "text": draw()} for i in range(1, 8)] for n in ("reviews", "reasons")},
        "question": draw,
        "thought": draw,
        "reason": draw,
        "number": lambda: 3,
        "most": lambda: 7,
        "paragraphs": lambda: [{"title": draw(), "text": draw()} for _ in range(5)],
        "steps": lambda: [
            {
                "number": i,
                "thinks": True,
                "call": "Search",
                **{k: draw() for k in ("thought", "argument", "observation")},
            }
            for i in range(1, 4)
        ],
        **{
            n: lambda: {"summary": draw(), "keywords": [draw() for _ in range(5)]}
            for n in ("long", "short", "preference")
        },
    }
    if name.startswith("scoter/"):
        makers["steps"] = lambda: [draw() for _ in range(4)]
    return {variable: makers[variable]() for variable in PROMPTS[name].variables}


def assert_whole(name: str, filled: dict[str, Any]) -> None:
    """The rendered prompt has the template's tags, marks and lines, and no others."""
    tame = PROMPTS[name].render(**blanks(name, lambda: "tame"))
    wild = PROMPTS[name].render(**filled)
    assert wild[:-1] == tame[:-1]
    text, like = wild[-1].content, tame[-1].content
    assert TAG.findall(text) == TAG.findall(like)
    assert len(text.splitlines()) == len(like.splitlines())
    for mark in "<>[]":
        assert text.count(mark) == like.count(mark)
    for line, model in zip(text.splitlines(), like.splitlines(), strict=True):
        mark = re.match(r"\[\d+\] |\d+\. |[A-G]\. |keywords: |<.*|", model)
        assert mark and line.startswith(mark[0])
    text.encode("utf-8")


@pytest.mark.parametrize("name", PROMPTS)
def test_ten_thousand_hostile_strings_leave_every_prompt_whole(name: str) -> None:
    dice = random.Random(name)
    used = 0

    def draw() -> str:
        nonlocal used
        used += 1
        return hostile(dice)

    while used < 10_000:
        assert_whole(name, blanks(name, draw))


@pytest.mark.parametrize("name", PROMPTS)
@given(text=st.text(st.one_of(st.characters(), st.sampled_from("<>[]|/#\n\u2028\u200b")), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_leaves_every_prompt_whole(name: str, text: str) -> None:
    assert_whole(name, blanks(name, lambda: text))


def byte_level(specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=specials, show_progress=False
    )
    tokenizer.train_from_iterator(sample_texts(), trainer)
    return tokenizer


def folding(specials: list[str]) -> Tokenizer:
    """SentencePiece style: text is folded (NFKC, case) before special tokens, themselves folded, are looked for."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator(sample_texts(), trainer)
    tokenizer.add_tokens([AddedToken(t, normalized=True) for t in specials])
    return tokenizer


def sample_texts() -> Iterator[str]:
    for name in PROMPTS:
        yield PROMPTS[name].text


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [byte_level, folding])
def test_no_tokenizer_finds_a_special_token_in_data(family: str, make: Any) -> None:
    specials = FAMILIES[family]
    tokenizer = make(specials)
    special_ids = {tokenizer.token_to_id(t) for t in specials}
    assert None not in special_ids
    for token in specials:
        assert special_ids & set(tokenizer.encode(f"before {token} after").ids), "the tokenizer must know its tokens"
    dice = random.Random(family)
    texts = [
        m.content
        for name in PROMPTS
        for _ in range(4)
        for m in PROMPTS[name].render(**blanks(name, lambda: hostile(dice)))
    ]
    texts += [neutralise_answer(hostile(dice)) for _ in range(2_000)]  # as a repair shows a model its own words
    for encoding in tokenizer.encode_batch(texts):
        assert not special_ids & set(encoding.ids)
