"""Reading what a run recorded of its calls: find them, read their texts, compare them. Never calls a model.

`Calls` finds calls by whom they were for, who asked, how they went and what their texts hold; `TextIndex` makes the
last of these fast. What needs prompts or graphs (the messages as sent, replay, recomputed states) is in
`whyrec.workbench`, two floors up.
"""

from whyrec.trace.calls import ORDERS, STATUSES, Calls, Line, Wanted
from whyrec.trace.search import TextIndex

__all__ = ["ORDERS", "STATUSES", "Calls", "Line", "TextIndex", "Wanted"]
