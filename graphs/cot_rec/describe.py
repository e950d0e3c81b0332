"""cot_rec.describe: the objective description of every item (CoT-Rec 4.1.2); see graphs/shared/catalogue.py."""

from __future__ import annotations

from graphs.shared.catalogue import build, describing

__all__ = ["NAME", "WORKFLOW", "build"]

NAME = "cot_rec.describe"
WORKFLOW = describing(NAME)
