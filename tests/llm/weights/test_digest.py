"""What a model is called follows what is in its folder, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from whyrec.errors import UsageError
from whyrec.llm.naming.same import same_answers
from whyrec.llm.weights.digest import KEPT, content_digest, revision_of
from whyrec.runs import Identity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text('{"a": 1}')
    (made / "tokenizer.json").write_text("{}")
    (made / "chat_template.jinja").write_text("{{ x }}")
    (made / "model.safetensors").write_bytes(b"w" * 3_000_000)
    return made


def test_a_folder_that_was_moved_or_copied_is_the_same_model(folder: Path, tmp_path: Path) -> None:
    before = content_digest(folder)
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copy)
    (tmp_path / "copy" / "README.md").write_text("words")
    (tmp_path / "copy" / "SOURCE.json").write_text("{}")
    moved = folder.rename(tmp_path / "elsewhere")
    assert content_digest(moved) == content_digest(tmp_path / "copy") == before == revision_of(str(moved))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"])
def test_one_other_byte_anywhere_is_another_model(folder: Path, name: str) -> None:
    before = content_digest(folder)
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[:-1] + b"!")
    assert content_digest(folder) != before
    assert content_digest(folder) == content_digest(folder)


def test_a_byte_in_the_middle_of_a_large_file_counts(folder: Path) -> None:
    """Only the first MiB of each file was looked at once."""
    before = content_digest(folder)
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.seek(2_500_000)
        stream.write(b"x")
    assert content_digest(folder) != before


def test_a_large_file_is_read_once(folder: Path) -> None:
    before, path = content_digest(folder), folder / "model.safetensors"
    kept = json.loads((folder / KEPT).read_text())
    assert set(kept) == {"model.safetensors"}
    state = path.stat()
    path.write_bytes(b"v" * 3_000_000)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert content_digest(folder) == before  # same size and time: the digest beside it is believed
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert content_digest(folder) != before


@pytest.mark.parametrize(
    "junk", [b"[", b"[]", b'{"model.safetensors": 3}', b'{"model.safetensors": [1, 2, 3]}', b"\xff"]
)
def test_a_damaged_note_is_read_over(folder: Path, junk: bytes) -> None:
    before = content_digest(folder)
    (folder / KEPT).write_bytes(junk)
    assert content_digest(folder) == before


def test_a_folder_that_cannot_be_written_has_a_digest_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    before = content_digest(folder)
    (folder / KEPT).unlink()
    monkeypatch.setattr(Path, "write_text", refuse)
    assert content_digest(folder) == before and not (folder / KEPT).exists()


def test_sentence_transformers_modules_count_and_other_folders_do_not(folder: Path) -> None:
    before = content_digest(folder)
    for name in ("1_Pooling", "checkpoint-5"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text("{}")
    assert content_digest(folder) == before
    (folder / "modules.json").write_text('[{"path": ""}, {"path": "1_Pooling"}, {"path": "../.."}, 7]')
    told = content_digest(folder)
    (folder / "1_Pooling" / "config.json").write_text('{"mode": "mean"}')
    assert len({before, told, content_digest(folder)}) == 3


def test_an_adapter_is_its_own_weights_and_those_below_it(folder: Path, tmp_path: Path) -> None:
    def adapter(name: str, base: Path) -> str:
        made = tmp_path / name
        made.mkdir()
        (made / "adapter_config.json").write_text(json.dumps({"r": 16, "base_model_name_or_path": str(base)}))
        (made / "adapter_model.safetensors").write_bytes(b"a")
        return content_digest(made)

    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    first = adapter("one", folder)
    assert first == adapter("two", copy)
    (copy / "config.json").write_text('{"a": 2}')
    assert first != adapter("three", copy)


def test_another_template_is_another_model_and_its_path_is_not(folder: Path, tmp_path: Path) -> None:
    for name, text in (("a.jinja", "A"), ("b.jinja", "A"), ("c.jinja", "C")):
        (tmp_path / name).write_text(text)
    a, b, c = (revision_of(str(folder), template=str(tmp_path / f"{name}.jinja")) for name in "abc")
    assert a == b != c and revision_of(str(folder)) not in (a, c)
    with pytest.raises(UsageError, match=r"gone\.jinja cannot be read"):
        revision_of(str(folder), template=str(tmp_path / "gone.jinja"))


def test_the_cache_and_runs_go_by_what_is_in_the_weights() -> None:
    """Path, scheme, batch, precision and template are in the revision or change nothing; other options stay."""
    names = ("transformers:/a/m", "transformers:/b/m/?batch=4", "local:m?dtype=bfloat16&template=/t.jinja&grammar=off")
    assert {same_answers(name, "abc") for name in names} == {"weights"}
    thinking = 'local:m?chat_template_kwargs={"b": 1, "a": 2}'
    assert same_answers(thinking, "abc") == 'weights?chat_template_kwargs={"a":2,"b":1}'
    assert same_answers(f"flaky:json=0.2:{names[0]}", "abc") == "flaky:json=0.2:weights"
    assert same_answers("transformers:org/m", "") == "transformers:org/m" != same_answers("transformers:org/n", "")
    assert same_answers("openai:gpt", "abc") == "openai:gpt"
    runs = [Identity("g", "d", "1", name, "abc") for name in names]
    assert len({run.digest for run in runs}) == 1 != len({Identity("g", "d", "1", n, n).digest for n in names})


def test_an_option_that_names_a_folder_counts_by_what_is_in_it() -> None:
    def run(where: str, content: str) -> Identity:
        contents = {"embedder": content} if content else {}
        return Identity("g", "d", "1", "extractive", options={"embedder": where, "k": 3}, contents=contents)

    here, there, other = run("hf:/a", "hf-1"), run("hf:/b", "hf-1"), run("hf:/a", "hf-2")
    assert here.digest == there.digest != other.digest
    assert json.loads(here.settings)["options"] == {"embedder": "hf:/a", "k": 3}  # as given, to open it again
    assert json.loads(here.settings)["contents"] == {"embedder": "hf-1"}
    assert "contents" not in json.loads(run("lsa", "").settings)
