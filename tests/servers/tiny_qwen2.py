"""A real model of random weights in a folder: a small Qwen2 and a byte-level tokenizer trained on given texts.

It loads wherever a downloaded model loads (transformers, vLLM) and says nonsense; with a JSON schema enforced, valid
nonsense. `python tests/servers/tiny_qwen2.py FOLDER` makes one that has room for whyrec's prompts; with `--thinking` it
has a reasoning model's tokens and chat template, whose habits are switched on by `chat_template_kwargs`: `begun` ends
the prompt inside a thought (as QwQ's does), `forgets` leaves a turn's thoughts out (as DeepSeek-R1's does).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

THINKING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ m['content'].split('</think>')[-1] if forgets and m['role'] == 'assistant' else m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% if begun %}<think>\n{% endif %}{% endif %}"
)
THOUGHT = ("<think>", "</think>")


def build(
    folder: Path,
    texts: Sequence[str],
    *,
    vocabulary: int = 400,
    width: int = 32,
    positions: int = 256,
    thinking: bool = False,
) -> Path:
    """Train the tokenizer, draw the weights (seed 0), save both; returns the folder."""
    import torch
    import transformers
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(texts, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bare,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=THINKING if thinking else TEMPLATE,
    )
    if thinking:  # tokens of their own that stay in the text, as Qwen3's do
        tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in THOUGHT])
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.5,
        tie_word_embeddings=False,
    )
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    prompts = [path.read_text(encoding="utf-8") for path in sorted((root / "prompts").rglob("*.md"))]
    prompts.append("Yes\nNo\n" * 500)  # one token each, as in every tokenizer of a real model
    build(Path(sys.argv[1]), prompts, vocabulary=2000, width=128, positions=8192, thinking="--thinking" in sys.argv[2:])
