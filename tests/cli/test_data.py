import json

import pytest
from typer.testing import CliRunner

from whyrec.cli.data import app
from whyrec.errors import UnknownNameError, UsageError

ROWS = "user_id,item_id,rating,timestamp\n" + "".join(
    f"u{u},i{(u + n) % 5},4,{n}\n" for u in range(6) for n in range(4)
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A data folder with one set; returns run(*arguments) -> output."""
    (tmp_path / "data" / "small").mkdir(parents=True)
    (tmp_path / "data" / "small" / "interactions.csv").write_text(ROWS)
    monkeypatch.setenv("WHYREC_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_ls_names_format_size_and_folder(here, tmp_path):
    shown = here("ls")
    assert "small" in shown and "interactions" in shown and "world" in shown
    [row] = json.loads(here("ls", "--json"))
    assert row == {
        "name": "small",
        "format": "interactions",
        "bytes": len(ROWS),
        "folder": str(tmp_path / "data" / "small"),
    }


def test_stats_as_a_table_and_as_json(here):
    shown = here("stats", "small")
    for part in ("users", "24", "tied adjacent pairs", "0.00%", "sliding train samples"):
        assert part in shown
    found = json.loads(here("stats", "small?kcore=2&dedup", "--json"))
    assert (found["users"], found["items"], found["interactions"]) == (6, 5, 24) and found["ratings"]["mean"] == 4
    assert json.loads(here("stats", "world:users=60,items=80", "--json"))["users"] == 60


def test_unknown_names_and_broken_files_are_errors_for_the_front_door(here, tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'small'"):
        here("stats", "smal")
    with pytest.raises(UnknownNameError, match="Did you mean 'ml-1m'"):
        here("get", "ml1m")
    (tmp_path / "data" / "small" / "interactions.csv").write_text(ROWS + "u,i\n")
    with pytest.raises(UsageError, match=r"interactions\.csv, line 26: 2 fields"):
        here("stats", "small")


def test_get_lists_what_there_is_and_prints_terms_first(here, capsys):
    assert "amazon14_5core_beauty" in here("get") and "yelp (by hand" in here("get")
    result = CliRunner().invoke(app, ["get", "yelp"])
    assert isinstance(result.exception, UsageError) and result.output.startswith("Terms: Yelp Open Dataset")
