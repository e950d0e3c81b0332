"""From rows to tokens, by the very rendering of inference: a model meets in use what it was tuned on.

What is too long loses the oldest of its history, event by event, by rendering the prompt again: no token is ever cut
off, so an option or the answer cannot be. A row that does not fit even with one event is refused.

Shapes: B rows, T tokens, K tokens of the longest answer, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from rec_models.tuning.rows import HISTORY, OPTIONS, Row
from whyrec.errors import UsageError
from whyrec.llm.model import Request
from whyrec.llm.providers.decoding.rendering import Rendering

_TAIL = 64  # characters before an answer that may change how it is cut into tokens
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as tokens.

    Attributes:
        key: of the row.
        prompt, answer: token ids; the answer's last one ends the turn where the objective learns that.
        labels: the one token of each label, in the order of the row's labels; () where there are none.
        chosen: which label the answer is; -1 where there are none.
        events: how many events of the history are shown, 0 where none can be cut.
    """

    key: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    labels: tuple[int, ...] = ()
    chosen: int = -1
    events: int = 0

    @property
    def length(self) -> int:
        """Tokens that are read: all but the answer's last."""
        return len(self.prompt) + len(self.answer) - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows side by side, padded on the left, so that all answers end in the last column.

    Attributes:
        ids_BT, mask_BT, places_BT: tokens, which of them are no padding, their positions.
        answers_BK: the token wanted after each of the last K columns, `IGNORED` before the answer begins.
        labels_BL: the labels' tokens, -1 behind the last label of a row with fewer.
        chosen_B: which label is right, -1 where there are none.
    """

    ids_BT: torch.Tensor
    mask_BT: torch.Tensor
    places_BT: torch.Tensor
    answers_BK: torch.Tensor
    labels_BL: torch.Tensor
    chosen_B: torch.Tensor


@dataclass
class Encoder:
    """Makes tokens of rows, for one model.

    Attributes:
        rendering: the model's.
        end: the token that ends an answer.
        longest: tokens of a row, answer included, at most.
        ended: whether the end is part of what is learnt.
    """

    rendering: Rendering
    end: int
    longest: int
    ended: bool
    _known: dict[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)

    def row(self, row: Row) -> Encoded:
        """A row as tokens, with as much of its history as fits.

        Raises:
            UsageError: it does not fit with one event of its history, or a label is more than one token.
        """
        found = self._tokens(row)
        if len(found.prompt) + len(found.answer) <= self.longest:
            return found
        least, most = 1, row.events - 1  # events: `least` is the fewest that may be shown
        best: Encoded | None = None
        while least <= most:
            middle = (least + most) // 2
            found = self._tokens(row.latest(middle))
            if len(found.prompt) + len(found.answer) <= self.longest:
                best, least = found, middle + 1
            else:
                most = middle - 1
        if best is None:
            raise UsageError(self._too_long(row, found))
        return best

    def _too_long(self, row: Row, found: Encoded) -> str:
        needs = len(found.prompt) + len(found.answer)
        shown = "with the latest event of its history alone" if row.events else "and has no history that could be cut"
        what = "its options and its answer are never cut" if row.labels else "its answer is never cut"
        return (
            f"The row {row.key} takes {needs:,} tokens {shown}, and {self.longest:,} are the most; {what}. "
            f"Allow more (--longest {needs}), or leave the row out."
        )

    def _tokens(self, row: Row) -> Encoded:
        ids, text = self.rendering.prompt(Request(row.messages))
        said = self._tail(ids, text, row.answer)
        labels = [self._tail(ids, text, label) for label in row.labels]
        for label, tail in zip(row.labels, labels, strict=True):
            if len(tail) != 1:
                raise UsageError(
                    f"The label {label!r} of the row {row.key} is {len(tail)} tokens for this model. Labels are read "
                    "from one token: take shorter ones (letters, Yes and No)."
                )
        if len(set(labels)) < len(labels):
            raise UsageError(f"Two labels of the row {row.key} are one token for this model: {', '.join(row.labels)}.")
        return Encoded(
            key=row.key,
            prompt=tuple(ids),
            answer=(*said, self.end) if self.ended else said,
            labels=tuple(tail[0] for tail in labels),
            chosen=row.labels.index(row.answer) if row.labels else -1,
            events=row.events,
        )

    def _tail(self, ids: list[int], text: str, answer: str) -> tuple[int, ...]:
        """An answer's tokens in context, looked up where the same was met after the same words."""
        known = (text[-_TAIL:], answer)
        if known not in self._known:
            if len(self._known) > 50_000:
                self._known.clear()
            self._known[known] = tuple(self.rendering.tail(ids, text, answer))
        return self._known[known]


def kept_whole(row: Row, cut: Row) -> bool:
    """Whether a row that lost some of its history is otherwise what it was."""
    same = all(cut.blanks[name] == row.blanks[name] for name in row.blanks if name != HISTORY)
    return same and (cut.answer, cut.labels) == (row.answer, row.labels) and OPTIONS in cut.blanks


def batch_of(rows: Sequence[Encoded], pad: int, device: str) -> Batch:
    """Rows side by side.

    Args:
        rows: at least one.
        pad: the token that fills up; it is masked.
        device: where.
    """
    longest, answer = max(row.length for row in rows), max(len(row.answer) for row in rows)
    labels = max(1, max(len(row.labels) for row in rows))
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    wanted = torch.full((len(rows), answer), IGNORED)
    letters = torch.full((len(rows), labels), -1)
    for i, row in enumerate(rows):
        ids[i, longest - row.length :] = torch.tensor((*row.prompt, *row.answer[:-1]))
        mask[i, longest - row.length :] = 1
        wanted[i, answer - len(row.answer) :] = torch.tensor(row.answer)
        if row.labels:
            letters[i, : len(row.labels)] = torch.tensor(row.labels)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    chosen = torch.tensor([row.chosen for row in rows])
    found = (ids, mask, places, wanted, letters, chosen)
    return Batch(*(tensor.to(device) for tensor in found))


def micro_batches(rows: Sequence[Encoded], tokens: int) -> list[list[Encoded]]:
    """The rows of a step, alike in length, in batches of at most so many tokens with padding; one row at least."""
    found: list[list[Encoded]] = []
    for row in sorted(rows, key=lambda row: (row.length, row.key)):
        if found and (len(found[-1]) + 1) * row.length <= tokens:
            found[-1].append(row)
        else:
            found.append([row])
    return found
