"""Rows for CoT-Rec's list-wise ranker, rendered as cot_rec.recommend renders them (paper 4.2.3; spec 2.b).

Of the users whose validation target is among the retriever's ten best items, each is one row: the prompt of the mode
over the history before it, the ten in an order that does not depend on the target, the target's letter as the answer. A
tenth of the users is held out. The states come from cot_rec.recommend itself, and no state knows a target; here, and
only here, it is read to say which letter is right. The test split is refused.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from agents.ranker import letters
from graphs.cot_rec import recommend
from graphs.workflow import Source
from rec_models.tuning.rows import Row, Rows, held_out
from whyrec.errors import LeakageError, UsageError
from whyrec.records import Domain

NAME = "cot_rec.ranker"


def ranker_rows(source: Source, options: recommend.Options, *, dev: float = 0.1) -> Rows:
    """Rows to tune the ranker on.

    Args:
        source: the data, and where what was retrieved is kept.
        options: of cot_rec.recommend; `split` must be "valid", and what a mode tells must come from earlier runs.
        dev: share of the users that is held out.

    Raises:
        LeakageError: another split than validation.
        UsageError: the mode asks nobody or lacks its runs, or no target was retrieved.
        MissingInput: an earlier run lacks a user or an item.
    """
    if options.split != "valid":
        raise LeakageError(
            f"Rows of the {options.split} split were asked for, from which nothing may be learnt: the ranker is tuned "
            "on split=valid."
        )
    _check(options)
    inputs = recommend.Ranked(source, replace(options, only="hits", placements=1, placing="rotate"))
    made = [_row(inputs, int(user), source.corpus.domain) for user in inputs.indices]
    if len(made) < 2:
        raise UsageError(
            f"Of {len(inputs.view.users):,} users of {source.corpus.name} {len(made)} have their validation item among "
            f"the {options.candidates} that {options.retriever} retrieves; a tuning needs some hundred. Take more "
            "users or another retriever."
        )
    train, out = held_out(made, dev, seed=options.seed)
    told = {
        "task": NAME,
        "data": source.corpus.name,
        "data_digest": source.corpus.digest,
        "split": options.split,
        "options": asdict(inputs.options),
        "users": len(inputs.view.users),
    }
    return Rows(train, out, told)


def _check(options: recommend.Options) -> None:
    if options.mode == "none":
        raise UsageError("mode=none asks no model, so there is nothing to tune. Modes: titles, preference, perception.")
    need = {"titles": (), "preference": ("preferences",), "perception": ("preferences", "perceptions")}[options.mode]
    missing = [name for name in need if not getattr(options, name)]
    if missing:
        graph = {"preferences": "cot_rec.preference", "perceptions": "cot_rec.recommend"}
        how = "; ".join(f"whyrec run {graph[name]} --split valid, then -o {name}=RUN" for name in missing)
        raise UsageError(f"Rows of mode={options.mode} show what earlier runs wrote: {how}.")


def _row(inputs: recommend.Ranked, user: int, domain: Domain) -> Row:
    """One user's row: what `recommend.rank` would send, and the right letter."""
    state = inputs.state(user)
    about = state.task.about(recommend.NAME, "rank")
    request = recommend.chooser(state).request(about, domain, **recommend.told(state, state.orders[0]))
    shown = [state.task.candidates[i].index for i in state.orders[0]]
    labels = letters(len(shown))
    blanks: dict[str, Any] = dict(request.about.blanks or {})
    return Row(
        key=inputs.key(user),
        messages=request.messages,
        answer=labels[shown.index(inputs.view.target(user))],
        labels=labels,
        prompt=request.about.prompt,
        digest=request.about.prompt_digest,
        blanks=blanks,
        group=str(inputs.source.corpus.user_ids[user]),
    )
