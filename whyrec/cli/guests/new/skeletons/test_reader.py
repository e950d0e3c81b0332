"""taste reads a folder of its format, and says where a line is wrong.

python -m pytest test_taste.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

import whyrec
from whyrec import plugins
from whyrec.errors import UsageError

plugins.use([Path(__file__).with_name("taste.py")])


def test_a_folder_is_read(tmp_path: Path) -> None:
    lines = [
        f"u{user}|i{(user + at) % 7}|{1_700_000_000 + at}|Item {(user + at) % 7}"
        for user in range(5)
        for at in range(6)
    ]
    (tmp_path / "events.taste").write_text("\n".join(lines))
    data = whyrec.load_data(tmp_path)
    assert (data.corpus.n_users, data.corpus.n_items) == (5, 7)


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.taste").write_text("u1|i1|yesterday|Item\n")
    with pytest.raises(UsageError, match="line 1"):
        whyrec.load_data(tmp_path)
