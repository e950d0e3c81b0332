"""A GGUF file becomes a folder with the same weights, tokens and answers; a damaged one a sentence."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from whyrec.errors import UsageError
from whyrec.llm.model import Message, Request, Sampling
from whyrec.llm.registry import open_provider
from whyrec.llm.weights.get import How, get, wanted
from whyrec.llm.weights.gguf_header import is_gguf, read_header
from whyrec.settings import Settings, read_settings

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ASK = Request((Message("system", "You are terse."), Message("user", "warm socks?")), Sampling(max_tokens=8))


@pytest.fixture(scope="module")
def file(tiny_model: Path, tiny_gguf: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tiny_gguf.write(tiny_model, tmp_path_factory.mktemp("gguf") / "Tiny Model.F32.gguf")
    return made


@pytest.fixture(scope="module")
def made(file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[str]]:
    """A home with the file turned into a folder, and what was said."""
    settings, said = read_settings(home=tmp_path_factory.mktemp("home"), precision="float32"), list[str]()
    get(wanted(str(file)), settings=settings, how=How(say=said.append))
    return settings, said


def test_the_head_says_what_it_is(file: Path, tiny_model: Path) -> None:
    header = read_header(file)
    assert (header.architecture, header.name, header.licence, header.main_type) == ("qwen2", "Tiny", "mit", "F32")
    assert header.template == (tiny_model / "chat_template.jinja").read_text() and header.bytes == file.stat().st_size
    assert header.keys["tokenizer.ggml.tokens"] > 300 and is_gguf(file) and not is_gguf(tiny_model / "config.json")


def test_weights_are_those_of_the_source(made: tuple[Settings, list[str]], tiny_model: Path) -> None:
    from safetensors.torch import load_file

    folder = made[0].home / "models" / "tiny-model.f32"
    ours, theirs = (load_file(one / "model.safetensors") for one in (folder, tiny_model))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (folder / "chat_template.jinja").read_text() == (tiny_model / "chat_template.jinja").read_text()
    told = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in told and str(folder.parent) not in json.dumps(told)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        (folder / "config.json").stat().st_mode & 0o777
    }


async def test_it_answers_as_the_file_does(made: tuple[Settings, list[str]], file: Path) -> None:
    settings, said = made
    opened: Any = open_provider("local:tiny-model.f32", settings=settings)
    (reply,) = await opened.complete(ASK)
    place = {"gguf_file": file.name}
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **place).eval()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(file.parent, **place)
    turns = [{"role": m.role, "content": m.content} for m in ASK.messages]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
    assert reply.text == tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True) != ""
    assert opened.name == "local:tiny-model.f32" and len(opened.revision) >= 16
    assert any("licence in the file: mit" in one for one in said)


def test_quantised_weights_stay_as_coarse_as_they_were(
    tiny_model: Path, tiny_gguf: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    settings, said = read_settings(home=tmp_path / "home"), list[str]()
    file = tiny_gguf.write(tiny_model, tmp_path / "q8.gguf", quantised=True, template=False, licence="")
    get(wanted(str(file), "coarse"), settings=settings, how=How(say=said.append))
    ours, theirs = (load_file(one / "model.safetensors") for one in (settings.home / "models" / "coarse", tiny_model))
    assert {tensor.dtype for tensor in ours.values()} == {torch.bfloat16}
    name = "model.layers.0.mlp.up_proj.weight"
    step = theirs[name].abs().max() / 127
    assert 0 < (ours[name].float() - theirs[name]).abs().max() < step
    assert any("no chat template" in one for one in said) and any("none stated" in one for one in said)
    with pytest.raises(UsageError, match="template=FILE"):
        open_provider("local:coarse", settings=settings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw[: len(raw) - 4000], "it was cut"),
        (lambda raw: raw[:100], "damaged GGUF file"),
        (lambda raw: b"GGML" + raw[4:], "does not begin with 'GGUF'"),
        (lambda raw: raw[:4] + struct.pack("<I", 1) + raw[8:], "version 1"),
        (lambda raw: raw[:8] + struct.pack("<Q", 1 << 60) + raw[16:], "announces 1,152,921,504,606,846,976 entries"),
        (lambda raw: raw[:24] + struct.pack("<Q", 1 << 40) + raw[32:], "announces"),
        (lambda raw: raw.replace(b"qwen2", b"qwen9"), "cannot be turned into a folder"),
    ],
)
def test_a_damaged_file_is_one_sentence_and_leaves_nothing(file: Path, tmp_path: Path, change: Any, said: str) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(change(file.read_bytes()))
    settings = read_settings(home=tmp_path / "home")
    with pytest.raises(UsageError, match=said):
        get(wanted(str(bad)), settings=settings, how=How())
    assert [p.name for p in (settings.home / "models").iterdir()] == [".getting"]
