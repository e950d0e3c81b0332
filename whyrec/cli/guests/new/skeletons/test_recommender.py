"""taste is trained on the generated world and recommends items that the user has not seen.

python -m pytest test_taste.py
"""

from __future__ import annotations

from pathlib import Path

import whyrec
from whyrec import plugins
from whyrec.settings import Settings

plugins.use([Path(__file__).with_name("taste.py")])


def test_it_recommends_what_is_new_to_the_user(tmp_path: Path) -> None:
    data = whyrec.load_data("world:users=40,items=60")
    model = whyrec.fit("taste", data, settings=Settings(home=tmp_path))
    found = {one.item.id for one in model.recommend("u0", n=5)}
    assert len(found) == 5
    assert 0.0 <= model.evaluate("valid")["recall@10"] <= 1.0
