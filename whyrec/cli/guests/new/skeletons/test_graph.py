"""taste runs on the generated world without any model, and says nothing that it was not shown.

python -m pytest test_taste.py
"""

from __future__ import annotations

from pathlib import Path

import whyrec
from whyrec import plugins
from whyrec.settings import Settings

plugins.use([Path(__file__).with_name("taste.py")])


def test_every_user_gets_an_answer(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    run = whyrec.run("taste", "world:users=20,items=60", llm="extractive", settings=settings, progress=False)
    assert run.complete and not run.counts.failed
    assert all(result.payload and result.payload["likes"] for result in run.results)
