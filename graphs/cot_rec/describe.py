"""cot_rec.describe: the objective description of every item (CoT-Rec 4.1.2, first step); see graphs/catalogue.py."""

from __future__ import annotations

from graphs.catalogue import build, describing

__all__ = ["NAME", "WORKFLOW", "build"]

NAME = "cot_rec.describe"
WORKFLOW = describing(NAME)
