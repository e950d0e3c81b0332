"""What each example of a run took: calls, repairs, seconds, tokens, money, counted by the run's own log.

An answer from the cache costs a run nothing, but that says when it was asked, not what the arm is: of two equal arms
the second would look free. So every answer counts with what it took when it was first asked, cached or not. Where that
is not known of one answer, the sum of its example is not known either, and no test uses it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from whyrec.llm.model import USABLE
from whyrec.runs import RunReader
from whyrec.sqlite import connect

_TOOK = (("seconds", "service_s", "made_s"), ("tokens_in", "tokens_in", "made_in"),
         ("tokens_out", "tokens_out", "made_out"), ("cost", "cost", "made_cost"))  # fmt: skip
_SUMS = ", ".join(
    # NULL as soon as one answer's is; an error took seconds nobody waited for an answer in, and no known tokens
    f"CASE WHEN total(error_kind='' AND (CASE cache WHEN 'miss' THEN {now} ELSE {first} END) IS NULL) THEN NULL"
    f" ELSE total(CASE WHEN error_kind<>'' THEN 0 WHEN cache='miss' THEN {now} ELSE {first} END) END"
    for _, now, first in _TOOK
)
_COUNTS = (
    "SELECT example, count(*), total(turn=0), total(turn>0), total(error_kind<>''),"
    f" total(cache='miss' AND error_kind=''), total(verdict IS NOT NULL), total(verdict='{USABLE}'),"
    f" {_SUMS} FROM call GROUP BY example"
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
        judged, usable: answers that somebody judged, and those of them that are of use.
        seconds: on the wire, of all answers when they were first asked; None where one is not known.
        tokens_in, tokens_out: likewise.
        cost: US dollars, likewise; None also where one has no price.
    """

    calls: int = 0
    first: int = 0
    repairs: int = 0
    errors: int = 0
    asked: int = 0
    judged: int = 0
    usable: int = 0
    seconds: float | None = 0.0
    tokens_in: float | None = 0.0
    tokens_out: float | None = 0.0
    cost: float | None = 0.0

    @property
    def answered(self) -> int:
        """Calls that got an answer, from a model or from the cache."""
        return self.calls - self.errors


def took(run: RunReader, keys: Collection[str]) -> Mapping[str, Took]:
    """By example, for each of these; an example without a call took nothing."""
    connection = connect(run.path, read_only=True)
    try:
        rows = connection.execute(_COUNTS).fetchall()
    finally:
        connection.close()
    found = dict.fromkeys(keys, Took())
    for key, *row in rows:
        if key in found:
            found[key] = Took(*map(int, row[:7]), *row[7:])
    return found
