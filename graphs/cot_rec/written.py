"""What earlier runs wrote of items and users, as texts that a recommender's tables start from (Encode & Map, 4.2.2).

One text per item (its caption, and what the model says of it) and one per user (the preference and its keywords). A
user's row is trained with the events of s[:-2] and serves both splits, so its text may be made of s[:-2] alone (spec
8): of a cot_rec.preference run over the validation split, and each preference only if it was made from exactly that
history.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from graphs.cot_rec import preference
from graphs.shared.catalogue import NAMES
from graphs.shared.earlier_run import open_earlier
from graphs.shared.retriever import TableTexts
from graphs.workflow import Source
from whyrec.data.split import SplitView
from whyrec.data.text import captions
from whyrec.errors import LeakageError, UsageError
from whyrec.runs import RunReader

SPLIT: Final = "valid"


def item_text(caption: str, payload: Mapping[str, Any]) -> str:
    """Caption and description of an item (5.2.1)."""
    return ". ".join(part for part in (caption, str(payload["text"])) if part)


def user_text(payload: Mapping[str, Any]) -> str:
    """Preference of a user, with its keywords."""
    return ". ".join(part for part in (str(payload["text"]), ", ".join(payload["keywords"])) if part)


def resolved(source: Source, items: str, users: str) -> tuple[str, str]:
    """The runs in full, "<run id>@<digest of its results>": of descriptions, and of preferences.

    Args:
        source: the data, and where runs lie.
        items, users: run ids, or their beginnings, perhaps with "@<digest>".

    Raises:
        UsageError: one is not named, not there, of another graph, not complete, or has changed.
        LeakageError: the preferences were made from more than s[:-2].
    """
    if not (items and users):
        raise UsageError(
            "A retriever that starts from texts reads two runs: item_texts of cot_rec.describe, and user_texts of "
            f"cot_rec.preference with -o split={SPLIT}, both over all of {source.corpus.name}. Run these first."
        )
    return _pinned(source, items, *NAMES), _pinned(source, users, preference.NAME)


def table_texts(source: Source, items: str, users: str, embedder: str) -> TableTexts:
    """The texts of resolved runs. Reading them raises LeakageError where a preference was made from another history
    than s[:-2], and UsageError where items are of another catalogue.
    """
    return TableTexts(f"{items} {users}", embedder, partial(_read, source, items, users))


def _read(source: Source, items: str, users: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return _items(source, items), _users(source, users)


def _pinned(source: Source, given: str, *graphs: str) -> str:
    name, _, digest = given.partition("@")
    run = open_earlier(source.home, name, *graphs)
    try:
        if preference.NAME in graphs:
            split = json.loads(run.info()["settings"])["options"]["split"]
            if split != SPLIT:
                raise LeakageError(
                    f"Run {run.id} has preferences made for the {split} split, which read s[-2]. A recommender is "
                    f"trained on s[:-2]: run {preference.NAME} -o split={SPLIT}, and name that run."
                )
            wanted, what = len(SplitView(source.corpus, SPLIT).users), "users"
        else:
            wanted, what = source.corpus.n_items, "items"
        counts = run.counts()
        if (there := counts.done + counts.failed) < wanted:
            raise UsageError(
                f"Run {run.id} has {there:,} of {wanted:,} {what}. Tables of a recommender start from all of them: run "
                f"{run.info()['graph']} again without --users."
            )
        now = run.digest()
        if digest and digest != now:
            raise UsageError(
                f"Run {run.id} has other results now ({now}) than it had ({digest}). Name the run without the part "
                "after @ to start from what it has now."
            )
        return f"{run.id}@{now}"
    finally:
        run.close()


def _items(source: Source, given: str) -> tuple[str, ...]:
    """One text per item 1..I; of an item that could not be described, the caption."""
    corpus = source.corpus
    texts = list(captions(corpus))
    run = _opened(source, given, *NAMES)
    try:
        for result in run.results("done"):
            assert result.payload is not None
            place = int(result.payload["index"]) - 1
            if place >= len(texts) or corpus.item(place + 1).id != result.payload["item"]:
                raise UsageError(f"Run {run.id} describes another catalogue than that of {corpus.name}.")
            texts[place] = item_text(texts[place], result.payload)
    finally:
        run.close()
    return tuple(texts)


def _users(source: Source, given: str) -> tuple[str, ...]:
    """One text per user 0..U-1, "" where there is none."""
    view = SplitView(source.corpus, SPLIT)
    texts = np.full(source.corpus.n_users, "", dtype=object)
    run = _opened(source, given, preference.NAME)
    try:
        for result in run.results("done"):
            assert result.payload is not None
            user = source.corpus.user_index.get(result.user)
            if user is None or result.payload["prefix"] != view.prefix_digest(user):
                raise LeakageError(
                    f"What run {run.id} has for {result.key} was made from another history than this user's s[:-2]. "
                    f"Run {preference.NAME} -o split={SPLIT} again on this data, and name that run."
                )
            texts[user] = user_text(result.payload)
    finally:
        run.close()
    return tuple(texts.tolist())


def _opened(source: Source, given: str, *graphs: str) -> RunReader:
    return open_earlier(source.home, given.partition("@")[0], *graphs)
