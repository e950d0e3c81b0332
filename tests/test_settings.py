"""Settings: what wins over what, and what is said about a wrong line."""

from pathlib import Path

import pytest

from whyrec.errors import UsageError
from whyrec.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_argument_before_variable_before_file_before_default(folder, monkeypatch):
    assert read_settings().concurrency == 64
    (folder / "whyrec.toml").write_text('concurrency = 3\nllm = "echo"\n')
    assert (read_settings().concurrency, read_settings().llm) == (3, "echo")
    monkeypatch.setenv("WHYREC_CONCURRENCY", "5")
    assert read_settings().concurrency == 5
    assert read_settings(concurrency=7, llm=None).concurrency == 7
    assert read_settings(concurrency=7, llm=None).llm == "echo"


def test_only_reading_reads(folder, monkeypatch):
    (folder / "whyrec.toml").write_text("concurrency = 3\n")
    monkeypatch.setenv("WHYREC_LLM", "echo")
    assert (Settings().concurrency, Settings().llm) == (64, "extractive")


def test_folders_are_a_path_or_a_list_and_know_home(folder, monkeypatch):
    (folder / "whyrec.toml").write_text('data = ["~/a", "b"]\n')
    assert read_settings().data == (Path.home() / "a", Path("b"))
    monkeypatch.setenv("WHYREC_DATA", "x::~/y")
    assert read_settings().data == (Path("x"), Path.home() / "y")
    monkeypatch.setenv("WHYREC_HOME", "here")
    assert read_settings().home == folder / "here"
    assert read_settings().data_folders[-1] == folder / "here" / "data"


def test_an_empty_variable_says_nothing_and_debug_is_read_elsewhere(monkeypatch):
    monkeypatch.setenv("WHYREC_HOME", "")
    monkeypatch.setenv("WHYREC_DEBUG", "1")
    assert read_settings().home == Path.home() / ".whyrec"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('hom = "x"', "no setting 'hom' .* Did you mean 'home'"),
        ("zzzz = 1", "no setting 'zzzz' .*Settings are: home, data, llm"),
        ("concurrency = 0", "'concurrency' from .*whyrec.toml is not usable: .*greater than or equal to 1"),
        ("home = ", "whyrec.toml is not valid TOML"),
    ],
)
def test_a_wrong_line_is_named_with_its_file(folder, line, said):
    (folder / "whyrec.toml").write_text(line)
    with pytest.raises(UsageError, match=said):
        read_settings()


def test_a_file_may_begin_with_a_mark_and_a_folder_is_none(folder):
    (folder / "whyrec.toml").write_text("concurrency = 3\r\n", encoding="utf-8-sig")
    assert read_settings().concurrency == 3
    (folder / "whyrec.toml").unlink()
    (folder / "whyrec.toml").mkdir()
    assert read_settings().concurrency == 64


@pytest.mark.parametrize("name", ["WHYREC_HOME", "WHYREC_DATA"])
def test_a_home_of_nobody_is_named(monkeypatch, name):
    monkeypatch.setenv(name, "~nosuchuser/x")
    with pytest.raises(UsageError, match=f"variable {name} is not usable.*~nosuchuser"):
        read_settings()


def test_a_wrong_variable_is_named(monkeypatch):
    monkeypatch.setenv("WHYREC_CONCURRENCY", "many")
    with pytest.raises(UsageError, match=r"variable WHYREC_CONCURRENCY .*valid integer"):
        read_settings()
    monkeypatch.delenv("WHYREC_CONCURRENCY")
    monkeypatch.setenv("WHYREC_HOM", "x")
    with pytest.raises(UsageError, match=r"WHYREC_HOM.*Did you mean 'home'"):
        read_settings()


def test_without_a_home_of_ones_own_the_sentence_says_so(monkeypatch):
    def nobody(_path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("WHYREC_HOME")
    monkeypatch.setattr(Path, "expanduser", nobody)
    with pytest.raises(UsageError, match=r"'home' from whyrec's own default is not usable: .* names nobody's folder"):
        read_settings()


def test_a_folder_that_cannot_be_written_down_is_refused(folder, monkeypatch):
    (folder / "whyrec.toml").write_text('data = ["a", "b\\u0000"]\n')
    with pytest.raises(UsageError, match=r"'data' from .*control characters"):
        read_settings()
