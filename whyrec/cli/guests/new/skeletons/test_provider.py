"""taste:demo answers the prompts of a graph of the house.

python -m pytest test_taste.py
"""

from __future__ import annotations

from pathlib import Path

import whyrec
from whyrec import plugins
from whyrec.settings import Settings

plugins.use([Path(__file__).with_name("taste.py")])


def test_it_answers(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    data = "world:users=10,items=40"
    run = whyrec.run("cot_rec.preference", data, llm="taste:demo", users=3, settings=settings, progress=False)
    assert run.complete and run.info["model"] == "taste:demo"
