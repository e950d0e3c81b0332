"""What makes two runs the same run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from whyrec.runs import Identity

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
