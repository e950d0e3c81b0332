"""taste.table_1 is computed on the generated world.

python -m pytest test_taste.py
"""

from __future__ import annotations

from pathlib import Path

import whyrec
from whyrec import plugins
from whyrec.settings import Settings

plugins.use([Path(__file__).with_name("taste.py")])


def test_every_row_has_a_number(tmp_path: Path) -> None:
    found = whyrec.evaluate("taste.table_1", "world:users=40,items=60", settings=Settings(home=tmp_path))
    assert list(found.results.rows) == ["popularity", "item-CF"]
