"""Data of one's own under a name of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyrec.cli import build
from whyrec.data import load, names
from whyrec.data.address import named
from whyrec.errors import UnknownNameError, UsageError
from whyrec.settings import read_settings

TOLD = ["--user", "who", "--item", "what", "--column", "time=when", "--items", "products.csv"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHYREC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WHYREC_DATA", str(tmp_path / "sets"))
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"u{u},{i},{i}\n" for u in range(4) for i in range(5))
    (tmp_path / "clicks.csv").write_text(f"who,what,when\n{rows}")
    (tmp_path / "products.csv").write_text("id,title\n" + "".join(f'{i},"Thing {i}"\n' for i in range(5)))
    return tmp_path / "home"


def whyrec(*arguments: str) -> str:
    done = CliRunner().invoke(build(), list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_name_means_the_same_in_every_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whyrec("data", "add", "shop", "--interactions", "clicks.csv", *TOLD)
    digests = set()
    for number in range(3):
        folder = home.parent / f"elsewhere{number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        corpus = load("shop")
        assert corpus.name == "shop" and corpus.item(1).title == "Thing 0" and "shop" in names()
        digests.add(corpus.digest)
        assert "1 done" in whyrec("run", "cot_rec.preference", "--data", "shop", "--llm", "extractive", "--users", "1")
    assert len(digests) == 1
    assert load("shop?kcore=2").name == "shop?kcore=2"
    assert "a given name" in whyrec("data", "ls") and "clicks.csv" in whyrec("data", "ls", "--json")


def test_a_name_can_be_taken_away_and_given_again(home: Path) -> None:
    whyrec("data", "add", "shop", "--interactions", "clicks.csv", *TOLD)
    whyrec("data", "add", "shop", "--interactions", "clicks.csv?kcore=3", *TOLD)
    assert "kcore=3" in named.read(home)["shop"]
    whyrec("data", "forget", "shop")
    with pytest.raises(UnknownNameError):
        load("shop")
    with pytest.raises(UnknownNameError, match="gives names"):
        whyrec("data", "forget", "shop")


@pytest.mark.parametrize(
    ("name", "at", "said"),
    [
        ("world", "clicks.csv", "generated data"),
        ("a b", "clicks.csv", "is no name for data"),
        ("clicks", "clicks.csv?user=who", "given twice"),
        ("sold", "world", "has a name already"),
    ],
)
def test_what_cannot_be_a_name_is_refused_before_anything_is_kept(home: Path, name: str, at: str, said: str) -> None:
    told = [] if at == "world" else TOLD
    with pytest.raises(UsageError, match=said):
        whyrec("data", "add", name, "--interactions", at, *told)
    assert not (home / named.FILE).exists()


def test_a_folder_of_that_name_keeps_it(home: Path) -> None:
    folder = home.parent / "sets" / "shop"
    folder.mkdir(parents=True)
    (folder / "interactions.csv").write_text("user_id,item_id\n1,2\n")
    with pytest.raises(UsageError, match="called shop already"):
        whyrec("data", "add", "shop", "--interactions", "clicks.csv", *TOLD)


@pytest.mark.parametrize("text", ["shop = ", "shop = 3", "\x00"])
def test_a_damaged_file_of_names_is_a_sentence(home: Path, text: str) -> None:
    home.mkdir()
    (home / named.FILE).write_text(text)
    with pytest.raises(UsageError, match=r"data\.toml"):
        load("shop", settings=read_settings())
