"""Files as people have them: order, ids that do not join, where data are found again, and what no reader survives."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from whyrec.data import SplitView, load
from whyrec.errors import UnknownNameError, UsageError

COLUMNS = "?user=user&item=item&time=time"
EXAMPLE = ("--llm", "extractive", "--yes", "--quiet")


def read(name: object) -> Any:
    """The corpus, or what a person is told instead, or that it was no sentence."""
    try:
        return load(str(name))
    except (UsageError, UnknownNameError) as error:
        return str(error)
    except BaseException as error:  # a panic of Rust code is no Exception
        return f"no sentence but {type(error).__name__}"


def targets(corpus: Any) -> list[str]:
    """The test targets by id; what was told where there is no corpus."""
    if isinstance(corpus, str):
        return [corpus]
    view = SplitView(corpus, "test")
    return [corpus.item(view.target(int(user))).id for user in view.users]


def table(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(["user,item,time", *rows]) + "\n")
    return path


@pytest.mark.parametrize("name", ["d1_iso_ms.csv", "d2_float_time.csv"])
def test_01_fractions_of_a_second_decide_the_order(cases: Path, name: str) -> None:
    assert targets(read(f"{cases / name}{COLUMNS}")) == ["e"] * 3


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ("1593878000", "8.8e8", "1593878000.25"),
        ("2020-07-05 00:00:00.300", "2020-07-05 00:00:00.100", "2020-07-05 00:00:00.300001"),
        ("2020-07-05T02:00:00.3+02:00", "2020-07-05T00:00:00.1Z", "2020-07-05 00:00:00,4"),
        ("1593878000200", "1593878000100", "1593878000300"),
    ],
)
def test_01_the_spellings_people_have(tmp_path: Path, first: str, second: str, third: str) -> None:
    path = table(tmp_path / "t.csv", [f"u,b,{json.dumps(first)}", f"u,a,{json.dumps(second)}", f"u,c,{third!r}"])
    path.write_text(path.read_text().replace("'", '"'))
    corpus = read(f"{path}{COLUMNS}")
    assert not isinstance(corpus, str) and [corpus.item(int(i)).id for i in corpus.items] == ["a", "b", "c"], corpus


def test_01_floats_in_parquet_and_in_the_common_schema(tmp_path: Path) -> None:
    times = [1593878903.1, 1593878903.9, 1593878903.5]
    pl.DataFrame({"user": ["u"] * 3, "item": list("abc"), "time": times}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "interactions.csv").write_text("user_id,item_id,timestamp\nu,a,1.0\nu,b,3.0\nu,c,2.0\n")
    assert [targets(read(f"{tmp_path / 't.parquet'}{COLUMNS}")), targets(read(tmp_path))] == [["b"], ["b"]]


def test_01_dates_in_digits_are_refused_unless_their_form_is_named(cases: Path) -> None:
    name = f"{cases / 'd5_yyyymmdd.csv'}{COLUMNS}"
    told = read(name)
    assert isinstance(told, str) and all(word in told for word in ("20190930", "seconds", "?clock=yyyymmdd"))
    dated = read(f"{name}&clock=yyyymmdd")
    assert not isinstance(dated, str) and dated.times[0] == 1_569_801_600


def test_02_a_catalogue_that_nearly_joins_is_refused_mapped_and_told(whyrec: Any, cases: Path) -> None:
    data = cases / "hm"
    for command in ("run", "estimate"):
        done = whyrec(command, "cot_rec.preference", "--data", data, "--llm", "extractive")
        assert done.sentence and "0108775015" in done.said and "?ids=zeros" in done.said
    told = whyrec("data", "stats", data)
    assert told.code == 0 and "?ids=zeros" in told.err
    mapped = read(f"{data}?ids=zeros")
    assert not isinstance(mapped, str) and mapped.item(1).title == "Strap top"


def test_02_some_items_without_an_entry_are_a_warning(whyrec: Any, tmp_path: Path) -> None:
    rows = [f"u{u},i{(u + k) % 20},{k}" for u in range(8) for k in range(5)]
    (tmp_path / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    entries = [json.dumps({"item_id": f"i{i}" if i > 3 else f" I{i}.0", "title": f"t{i}"}) for i in range(20)]
    (tmp_path / "items.jsonl").write_text("\n".join(entries) + "\n")
    for command in (("run", "cot_rec.preference", *EXAMPLE), ("estimate", "cot_rec.preference", *EXAMPLE[:2])):
        done = whyrec(*command, "--data", tmp_path)
        assert done.code == 0 and "have no entry in items.jsonl" in done.err


def test_02_ids_that_became_floats(cases: Path, whyrec: Any) -> None:
    name = f"{cases / 'p_float_item.parquet'}{COLUMNS}"
    assert "?ids=float" in whyrec("data", "stats", name).err
    assert targets(read(f"{name}&ids=float")) == ["103"] * 2
    nobody = read(f"{cases / 'p_nan_user.parquet'}{COLUMNS}")
    assert isinstance(nobody, str) and "row 4: user is nan" in nobody


def test_05_a_run_finds_its_data_again_from_any_folder(whyrec: Any, tmp_path: Path) -> None:
    (here := tmp_path / "here").mkdir()
    (there := tmp_path / "there").mkdir()
    table(here / "t.csv", [f"u{u},i{(u + k) % 7},{k}" for u in range(3) for k in range(5)])
    env = {"WHYREC_HOME": str(tmp_path / "home")}
    assert whyrec("run", "cot_rec.preference", "--data", f"t.csv{COLUMNS}", *EXAMPLE, cwd=here, env=env).code == 0
    (run,) = sorted(p.name for p in (tmp_path / "home" / "runs").iterdir())
    assert whyrec("audit", run, cwd=there, env=env).code == 0
    script = tmp_path / "again.py"
    script.write_text(
        "import asyncio\nfrom graphs.run import run\nfrom whyrec.data import read_table\n"
        "corpus = read_table('t.csv', user='user', item='item', time='time')\n"
        "asyncio.run(run('cot_rec.preference', corpus=corpus, model='extractive'))\n"
    )
    python(script, here, env)
    assert sorted(p.name for p in (tmp_path / "home" / "runs").iterdir()) == [run], "the same file is one data set"


def python(script: Path, cwd: Path, env: dict[str, str]) -> None:
    import os
    import subprocess
    import sys

    root = str(Path(__file__).resolve().parents[2])
    subprocess.run([sys.executable, script], cwd=cwd, env={**os.environ, **env, "PYTHONPATH": root}, check=True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (f"p_dur.parquet{COLUMNS}", "time is a column of duration"),
        ("amazon_hugeint", "X_5.json, line 1: overall"),
        ("amazon_set", "meta_X.json, line 1:"),
        ("cr_header.csv?user=user&item=item", "line 1: the header holds a bare carriage return"),
    ],
)
def test_11_what_cannot_be_read_is_a_sentence_with_file_and_line(cases: Path, name: str, told: str) -> None:
    assert told in str(read(cases / name))


def test_11_what_can_be_read_is(cases: Path) -> None:
    found = {name: read(cases / name) for name in ("ml10m", "amz_emoji", "bx2")}
    found |= {
        "nested": read(f"{cases / 'p_nested_cat.parquet'}{COLUMNS}&categories=categories"),
        "late": read(f"{cases / 'p_late_title.parquet'}{COLUMNS}&title=title"),
    }
    assert not [told for told in found.values() if isinstance(told, str)]
    assert found["ml10m"].item(1).title.startswith("Amélie")
    assert any("\ufffd" in review for review in found["amz_emoji"].reviews)
    assert 1 in [n for name, n in found["amz_emoji"].notes.items() if "U+FFFD" in name]
    reader, salt = found["bx2"].item(1), found["bx2"].item(2)
    assert (reader.title, reader.brand, reader.categories) == (
        "A Reader: Heroes (Level 4)", "Ann Author", ("Some Press Inc",),
    )  # fmt: skip
    assert (salt.title, salt.categories) == ("Salt & Pepper", ("Simon & Co",))
    assert found["nested"].item(1).categories == ("A", "B", "C")
    assert [found["late"].item(i).title for i in (1, 2, 3)] == ["First", "Second", "Third"]


def test_11_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "interactions.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b"user_id,item_id\n")
        for _ in range(80):
            stream.write(b"user_1,item_1\n" * 75_000)
    assert "unpacks to more than" in str(read(tmp_path))


def test_11_lines_have_a_bound(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id\nu,a\nu,b\nu,c\n")
    long = json.dumps({"item_id": "a", "title": "x" * 17 * 2**20})
    (tmp_path / "items.jsonl").write_text(f'{{"item_id": "b"}}\n{long}\n')
    assert "items.jsonl, line 2: longer than 16 MiB" in str(read(tmp_path))
    assert not isinstance(read(f"{tmp_path}?longest_line=32"), str)


def test_18_nobody_to_predict_for_is_said_and_exit_1(whyrec: Any, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", ["u,a,1", "u,b,2", "v,a,1"])
    done = whyrec("run", "cot_rec.preference", "--data", f"{path}{COLUMNS}", *EXAMPLE)
    assert done.code == 1 and "has three events" in done.said


def test_18_ratings_of_0_and_1_name_the_border(whyrec: Any, cases: Path) -> None:
    data = f"{cases / 'likes01.csv'}{COLUMNS}&rating=rating&title=title"
    done = whyrec("run", "rallrec.predict", "--data", data, *EXAMPLE)
    assert done.sentence and "-o liked_above=0.5" in done.said
