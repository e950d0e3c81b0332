"""What each example of a run took: calls, repairs, seconds, tokens, money, counted by the run's own log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from whyrec.runs import RunReader
from whyrec.sqlite import connect

_SUMS = (
    "SELECT example, count(*), total(turn=0), total(turn>0), total(error_kind<>''),"
    " total(cache='miss' AND error_kind=''), total(CASE WHEN cache='miss' AND error_kind='' THEN service_s END),"
    " total(tokens_in), total(tokens_out), total(cost), total(cost IS NULL) FROM call GROUP BY example"
)


@dataclass(frozen=True)
class Took:
    """Sums over the calls of one example.

    Attributes:
        calls: all of them, each sample for itself.
        first: those that are no repair.
        repairs: those that showed the model a wrong answer.
        errors: those that got none.
        asked: those that a model answered, the cache's left out.
        seconds: on the wire, of those.
        tokens_in, tokens_out: of those.
        cost: US dollars of those; None where one has no price.
    """

    calls: int = 0
    first: int = 0
    repairs: int = 0
    errors: int = 0
    asked: int = 0
    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0


def took(run: RunReader, keys: Collection[str]) -> Mapping[str, Took]:
    """By example, for each of these; an example without a call took nothing."""
    connection = connect(run.path, read_only=True)
    try:
        rows = connection.execute(_SUMS).fetchall()
    finally:
        connection.close()
    wanted = set(keys)
    found = dict.fromkeys(keys, Took())
    for key, calls, first, repairs, errors, asked, seconds, tokens_in, tokens_out, cost, unpriced in rows:
        if key in wanted:
            counts = {"calls": calls, "first": first, "repairs": repairs, "errors": errors, "asked": asked}
            counts |= {"tokens_in": tokens_in, "tokens_out": tokens_out}
            whole = {name: int(count) for name, count in counts.items()}
            found[key] = Took(**whole, seconds=float(seconds), cost=None if unpriced else float(cost))
    return found
