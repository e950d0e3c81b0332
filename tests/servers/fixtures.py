"""Servers and models that any test may use; the root conftest registers this module as a plugin.

`openai_like` is the module tests/servers/openai_like.py, `openai_server` a running server on the test's event loop,
`openai_thread` the same in a thread of its own (for commands that run their own loop), `tiny_model` a folder with a
real model of random weights.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio


@pytest.fixture(scope="session")
def openai_like() -> ModuleType:
    """The module with `OpenAILike`, `Fault` and `ABILITIES` (tests are no package)."""
    name = "whyrec_tests_openai_like"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "openai_like.py")
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest_asyncio.fixture
async def openai_server(openai_like: ModuleType) -> AsyncIterator[Any]:
    """A running `OpenAILike`; change its attributes to make it slow, broken or poor."""
    server = openai_like.OpenAILike()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def openai_thread(openai_like: ModuleType) -> Iterator[Any]:
    """A running `OpenAILike` in a thread, for code that runs its own event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = openai_like.OpenAILike()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a two-layer Qwen2 of random weights and a tokenizer trained here."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = ["The user likes warm hiking socks and quiet trails.", "Answer with one letter: A, B or C. Yes or No."]
    bare.train_from_iterator(corpus * 4, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )
    torch.set_num_threads(1)  # two threads on two busy cores wait for each other
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.5,
        tie_word_embeddings=False,
    )
    folder = tmp_path_factory.mktemp("tiny-qwen2")
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
