"""`--base tiny`: a language model made on the spot, to see a tuning from end to end in a minute on any machine.

Two layers of random weights (seed 0) and a tokenizer trained on the rows it is for. It has never read anything, so what
a tuning teaches it is all it knows: it can learn to match words of a reason with words of an option, and nothing about
the world. Its numbers are about the plumbing, never about language models.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from rec_models.tuning.rows import Row, Rows
from whyrec.llm.providers.decoding.loading import hushed

NAME = "tiny"
VOCABULARY = 2048
WIDTH, LAYERS, HEADS, POSITIONS = 64, 2, 4, 4096
ABOUT = "two layers of random weights (seed 0) and a tokenizer trained on the rows, made by whyrec"
_END, _PAD, _START = "<|im_end|>", "<|endoftext|>", "<|im_start|>"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tiny(folder: Path, rows: Rows) -> Path:
    """The folder of the tiny base for these rows, made if it is not there; equal rows give equal files."""
    if (folder / "config.json").is_file():
        return folder
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    tokenizer = _tokenizer(rows.train)
    known = tokenizer.get_vocab()
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        initializer_range=WIDTH**-0.5,  # with the usual 0.02 so narrow a model hardly begins to attend
        bos_token_id=None,
        eos_token_id=known[_END],
        pad_token_id=known[_PAD],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.LlamaForCausalLM(config)
    with hushed(downloads=False):
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft.rename(folder)
    return folder


def _tokenizer(rows: Sequence[Row]) -> transformers.PreTrainedTokenizerFast:
    """Byte-level pairs from the rows' texts; whatever is not in them is spelt byte by byte."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[_PAD, _START, _END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [text for row in rows for text in (*(m.content for m in row.messages), f"{row.answer}\n", *row.labels)]
    bare.train_from_iterator([f"{text}\n" for text in ("system", "user", "assistant")] + texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token=_END, pad_token=_PAD, chat_template=TEMPLATE
    )
