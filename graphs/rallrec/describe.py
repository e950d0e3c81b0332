"""rallrec.describe: the objective description of every item (RALLRec+ eq. 1); see graphs/shared/catalogue.py."""

from __future__ import annotations

from graphs.shared.catalogue import build, describing

__all__ = ["NAME", "WORKFLOW", "build"]

NAME = "rallrec.describe"
WORKFLOW = describing(NAME)
