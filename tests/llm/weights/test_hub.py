"""Models of the hub, from one on loopback: only what opens them, each file as it is listed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from whyrec.errors import UsageError
from whyrec.llm.weights import hub
from whyrec.llm.weights.get import How, get, wanted
from whyrec.settings import Settings, read_settings

pytest.importorskip("huggingface_hub")

LLM = {
    "config.json": b"{}",
    "tokenizer.json": b'{"t": 1}',
    "chat_template.jinja": b"{{ x }}",
    "model.safetensors": b"w" * 3_000_000,
    "consolidated.safetensors": b"twice",
    "pytorch_model.bin": b"pickled",
    "README.md": b"words",
    "onnx/model.onnx": b"other",
    "original/params.json": b"{}",
}


@pytest.fixture
def served(model_hub: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Starts a hub of given files and lets huggingface_hub ask it."""
    from huggingface_hub import constants

    started: list[Any] = []

    def start(files: dict[str, bytes], **more: str) -> Any:
        one = model_hub.ModelHub(files, **more)
        started.append(one)
        monkeypatch.setattr(constants, "ENDPOINT", one.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", one.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        return one

    yield start
    for one in started:
        one.stop()


def brought(settings: Settings, text: str = "org/tiny") -> list[str]:
    said = list[str]()
    get(wanted(text), settings=settings, how=How(say=said.append))
    return said


def test_only_what_opens_the_model_comes(served: Callable[..., Any], model_hub: ModuleType) -> None:
    server, settings, sizes = served(LLM), read_settings(), list[int]()
    said = list[str]()
    get(wanted("org/tiny"), settings=settings, how=How(say=said.append, agree=sizes.append))
    folder = settings.home / "models" / "tiny"
    assert {p.name for p in folder.iterdir()} == {*list(LLM)[:4], "SOURCE.json"}
    assert all((folder / name).read_bytes() == LLM[name] for name in list(LLM)[:4])
    note = json.loads((folder / "SOURCE.json").read_text())
    assert note["from"] == f"hub org/tiny@{model_hub.COMMIT}" and note["licence"] == "mit"
    assert sizes == [sum(len(LLM[name]) for name in list(LLM)[:4])]
    assert any("Licence: mit. From the hub, org/tiny, 3 MB." in one for one in said)
    server.asked.clear()
    assert "is already in" in brought(settings)[0] and not server.asked


def test_an_embedder_is_known_by_its_modules(served: Callable[..., Any]) -> None:
    files = {**LLM, "modules.json": b"[]", "1_Pooling/config.json": b"{}", "1_Pooling/notes.md": b"x"}
    served(files, licence="")
    said = " ".join(brought(read_settings()))
    folder = read_settings().home / "models" / "tiny"
    assert (folder / "1_Pooling" / "config.json").exists() and not (folder / "1_Pooling" / "notes.md").exists()
    assert json.loads((folder / "SOURCE.json").read_text())["kind"] == "embedder" and "Licence: none stated" in said


def test_a_transfer_that_ends_early_is_taken_up_again(served: Callable[..., Any]) -> None:
    server, settings = served(LLM), read_settings()
    server.cut["model.safetensors"] = 1_000_000
    brought(settings)
    assert (settings.home / "models" / "tiny" / "model.safetensors").read_bytes() == LLM["model.safetensors"]


def test_a_file_that_is_not_what_was_listed_is_refused_and_the_next_attempt_mends_it(
    served: Callable[..., Any],
) -> None:
    server, settings = served(LLM), read_settings()
    server.spoilt.add("model.safetensors")
    with pytest.raises(UsageError, match=r"model\.safetensors of org/tiny did not come as the hub has it"):
        brought(settings)
    assert not (settings.home / "models" / "tiny").exists()
    server.spoilt.clear()
    brought(settings)
    assert (settings.home / "models" / "tiny").exists()


def test_what_the_hub_does_not_have_is_one_sentence(served: Callable[..., Any]) -> None:
    served({"config.json": b"{}", "Tiny.Q4.gguf": b"GGUF"})
    with pytest.raises(UsageError, match="The hub has no model nobody/knows, or does not show it to you"):
        hub.look("nobody/knows")
    with pytest.raises(UsageError, match=r"no weights that transformers opens\. .* name one: org/tiny/Tiny\.Q4\.gguf"):
        hub.look("org/tiny")
    with pytest.raises(UsageError, match=r"has no file other\.gguf\. Its GGUF files: Tiny\.Q4\.gguf"):
        hub.look("org/tiny", file="other.gguf")


def test_a_gguf_file_of_the_hub_becomes_a_folder(
    served: Callable[..., Any], tiny_model: Path, tiny_gguf: ModuleType, tmp_path: Path
) -> None:
    raw = tiny_gguf.write(tiny_model, tmp_path / "t.gguf").read_bytes()
    served({"sub/Tiny.F32.gguf": raw, "config.json": b"{}"}, licence="apache-2.0")
    settings = read_settings()
    brought(settings, "org/tiny/sub/Tiny.F32.gguf")
    folder = settings.home / "models" / "tiny.f32"
    note = json.loads((folder / "SOURCE.json").read_text())
    assert (folder / "model.safetensors").exists() and note["licence"] == "apache-2.0"
    assert note["from"].endswith("/sub/Tiny.F32.gguf") and len(note["sha256"]) == 64
