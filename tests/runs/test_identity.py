"""What makes two runs the same run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from whyrec.runs import Identity, Run

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = Identity("cot_rec.preference", "amazon14_beauty", "d1", "extractive", options={"batch": 10})


def test_identity_is_what_changes_answers() -> None:
    same = Identity("cot_rec.preference", "/data/amazon14_beauty", "d1", "extractive", options={"batch": 10})
    assert same.digest == IDENTITY.digest and same.stem == IDENTITY.stem
    assert re.fullmatch("[0-9a-f]{16}", IDENTITY.digest)
    for other in (
        Identity("cot_rec.perception", "amazon14_beauty", "d1", "extractive", options={"batch": 10}),
        Identity("cot_rec.preference", "amazon14_beauty", "d2", "extractive", options={"batch": 10}),
        Identity("cot_rec.preference", "amazon14_beauty", "d1", "echo", options={"batch": 10}),
        Identity("cot_rec.preference", "amazon14_beauty", "d1", "extractive", "r2", options={"batch": 10}),
        Identity(
            "cot_rec.preference", "amazon14_beauty", "d1", "extractive", prompts={"p": "1"}, options={"batch": 10}
        ),
        Identity("cot_rec.preference", "amazon14_beauty", "d1", "extractive", options={"batch": 5}),
    ):
        assert other.digest != IDENTITY.digest


def test_identity_does_not_depend_on_the_order_or_kind_of_its_options() -> None:
    a = Identity("g", "d", "x", "m", options={"a": 1, "b": (1, 2), "c": Path("x")})
    b = Identity("g", "d", "x", "m", options={"c": "x", "b": [1, 2], "a": 1})
    assert a.digest == b.digest
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        _ = Identity("g", "d", "x", "m", options={"a": object()}).digest


def test_identity_survives_a_new_process() -> None:
    code = (
        "from whyrec.runs import Identity; print(Identity('cot_rec.preference','amazon14_beauty','d1','extractive',"
        "options={'batch':10}).digest)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).strip() == IDENTITY.digest


def test_ids_are_safe_folder_names() -> None:
    assert Identity("g", "world:users=20,items=3", "x", "m").stem.startswith("g-world_users_20_items_3-")
    assert Identity("g", "../../etc/Wörld !", "x", "m").stem.startswith("g-w_rld-")


def test_an_items_file_elsewhere_neither_names_the_run_nor_hides_it(tmp_path: Path) -> None:
    identity = Identity("g.g", "dir/clicks.csv?item=i&items=/shop/products.csv&user=u", "d1", "m")
    assert identity.stem.startswith("g.g-clicks.csv_")
    first = Run.open(tmp_path, identity)
    first.close()
    fresh = Run.open(tmp_path, identity, new=True)
    fresh.close()
    assert fresh.id != first.id
    again = Run.open(tmp_path, identity)
    assert again.id == fresh.id
    again.close()


def test_the_same_file_named_in_other_ways_is_one_run_and_its_place_is_kept(tmp_path: Path) -> None:
    """By the command line with its options, and by Python: the digest decides, the path is beside it."""
    named = Identity("g.g", "dir/t.csv?item=i&user=u", "d1", "m", data_path="/a/dir/t.csv?item=i&user=u")
    read = Identity("g.g", "t.csv", "d1", "m", data_path="/b/t.csv?item=i&user=u")
    assert named.digest == read.digest and named.stem != read.stem
    first = Run.open(tmp_path, named)
    first.close()
    again = Run.open(tmp_path, read)
    assert again.id == first.id and again.info()["data_path"] == named.data_path
    again.close()
    fresh, other = Run.open(tmp_path, read, new=True), Run.open(tmp_path, Identity("g.g", "t.csv", "d2", "m"))
    assert len({first.id, fresh.id, other.id}) == 3
    fresh.close()
    other.close()
