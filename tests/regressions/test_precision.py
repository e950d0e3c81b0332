"""What is fast on one processor is slow on the next: 24 and 25 of the list."""

from __future__ import annotations

import json

import pytest

DATA = "world:users=60,items=60"
TABLE = ("eval", "cot_rec.table_1", "--data", DATA, "--llm", "extractive", "--seeds", "1", "--epochs", "1", "--yes")


def test_24_a_table_says_in_which_precision_its_rows_were_trained(whyrec, tmp_path):
    cells = ("--cells", "SASRec user=None,item=Random", "--json", "--out", tmp_path / "out")
    done = whyrec(*TABLE, *cells, "--precision", "float32", "--results", tmp_path / "tables")
    assert done.code == 0, done.said
    table = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    (run,) = table["rows"]["SASRec user=None,item=Random"]["runs"]
    assert run["about"]["precision"] == "float32 (asked for)"


def test_24_a_precision_nobody_knows_is_a_sentence(whyrec, tmp_path):
    done = whyrec(*TABLE, "--results", tmp_path / "tables", env={"WHYREC_PRECISION": "half"})
    assert done.sentence and "bfloat16" in done.err, done.said


def test_25_the_bench_measures_what_the_presets_do():
    from bench import sasrec
    from rec_models import presets

    assert sasrec.NETWORK == presets.SASREC


@pytest.mark.parametrize("name", ["SASREC_FIT", "SASREC_BCE_FIT", "BERT4REC_FIT"])
def test_24_no_preset_forces_a_precision(name):
    from rec_models import presets

    assert getattr(getattr(presets, name), "precision", "bfloat16, whatever the processor") == "auto"
