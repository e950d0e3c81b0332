"""What a model would be told about a user: a prompt filled with the user's own data, without running anything.

What earlier steps would have said is not known without a run, so their blanks hold stand-ins in brackets.
"""

from __future__ import annotations

from typing import Any, cast, get_args

from prompts import Prompt
from whyrec.data import SplitView, load
from whyrec.errors import UsageError
from whyrec.llm.model import Message
from whyrec.records import Split
from whyrec.settings import Settings

_LAST_EVENTS = 10
_SHOWN_CANDIDATES = 5


def rendered(prompt: Prompt, *, user: str, data: str, split: str, settings: Settings) -> tuple[Message, ...]:
    """The prompt's messages for a user of a data set, as far as a split may see.

    Raises:
        UsageError: no such split or user, or a blank for which there is nothing.
        UnknownNameError: no such data set.
    """
    if split not in get_args(Split):
        raise UsageError(f"There is no split {split!r}. Splits are {', '.join(get_args(Split))}.")
    view = SplitView(load(data, settings=settings), cast(Split, split))
    values = blanks_for(prompt.name, view, user)
    if unknown := sorted(prompt.variables.keys() - values.keys()):
        raise UsageError(f"There is nothing to put into {', '.join(unknown)} of {prompt.name} without a run.")
    return prompt.render(**{blank: values[blank] for blank in prompt.variables})


def blanks_for(name: str, view: SplitView, user: str) -> dict[str, Any]:
    """A value for every usual blank: the user's own data, and stand-ins for what earlier steps would say.

    Raises:
        UsageError: the user is not there, or has no history in this split.
    """
    corpus = view.corpus
    index = corpus.user_index.get(user)
    if index is None or index not in set(view.users.tolist()):
        some = ", ".join(str(corpus.user_ids[int(u)]) for u in view.users[:5])
        raise UsageError(
            f"{corpus.name} has no user {user!r} with a {view.split} history. Users with one are {some}, …"
        )
    history = view.example(index, last=_LAST_EVENTS).history
    candidates = [corpus.item(i) for i in range(1, min(_SHOWN_CANDIDATES, corpus.n_items) + 1)]
    said = {"summary": "(what an earlier step said)", "keywords": ["(its keywords)"]}
    return {
        "domain": corpus.domain,
        "history": history,
        "item": history[-1].item,
        "candidates": candidates,
        "long": said,
        "short": said,
        "preference": said,
        "reviews": [{"id": c.index, "text": "(what an earlier step said)"} for c in candidates],
        "reasons": [{"id": i, "text": "(what an earlier step said)"} for i in (1, 2, 3)],
        "review": "(what an earlier step said)",
        "options": candidates,
        "similar": history[:3],
        **dict.fromkeys(("reason", "opinion", "thoughts", "thought", "performance"), "(what an earlier step said)"),
        "profile": "",
        "above": "3",
        "paths": ["(a first step) → (a last step)"],
        "steps": ["(a first step)", "(a last step)"] if name.startswith("scoter/") else [],
        "question": "(a question)",
        "paragraphs": [{"title": "(a title)", "text": "(its sentences)"}],
        "number": 1,
        "most": 7,
    }
