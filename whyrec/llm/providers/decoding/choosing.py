"""The next token of every row that is under way, all rows at once.

Nothing is computed that nobody asked for: a row at temperature 0 takes the largest logit without a softmax, and
log-probabilities are made for the rows that show them. A row's draw is its own number put through its own distribution,
so who else is in the batch does not matter.

Shapes: R rows, V vocabulary, N options of a restricted row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from whyrec.llm.model import TokenLogprob
from whyrec.llm.providers.decoding.rows import Writing

_LIKELY = 1024  # tokens that are sorted first where only the likeliest count


def _exact(logits_RV: torch.Tensor, whole: list[int]) -> None:
    """They are exact."""


class Chooser:
    """Chooses for rows.

    Args:
        decode: tokens to text, for the log-probabilities that are shown.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode

    def step(
        self,
        rows: Sequence[Writing],
        logits_RV: torch.Tensor,
        sharpen: Callable[[torch.Tensor, list[int]], None] = _exact,
    ) -> None:
        """Give every row its next token.

        Args:
            rows: under way.
            logits_RV: float32 on any device, changed where a row is restricted.
            sharpen: makes logits exact that came from rounded ones: all of the rows named, the largest of others.
        """
        logits_RV = logits_RV.cpu()
        for i, row in enumerate(rows):
            if row.allowed:
                options = torch.tensor(row.options())
                kept_N = logits_RV[i, options]
                logits_RV[i] = float("-inf")
                logits_RV[i, options] = kept_N
            elif row.grammar is not None:
                row.grammar.restrict(logits_RV[i])
        sharpen(logits_RV, [i for i, row in enumerate(rows) if row.weighed])
        tokens = logits_RV.argmax(-1).tolist()
        drawn = [i for i, row in enumerate(rows) if row.request.sampling.temperature > 0.0]
        for i, token in zip(drawn, _draw([rows[i] for i in drawn], logits_RV[drawn]), strict=True):
            tokens[i] = token
        shown = [i for i, row in enumerate(rows) if row.request.top_logprobs and tokens[i] not in row.ends]
        for i, logprobs_V in zip(shown, logits_RV[shown].log_softmax(-1), strict=True):
            rows[i].logprobs.append(self._explain(tokens[i], logprobs_V, rows[i].request.top_logprobs))
        for row, token in zip(rows, tokens, strict=True):
            row.take(token)

    def _explain(self, token: int, logprobs_V: torch.Tensor, count: int) -> TokenLogprob:
        """As it was judged before temperature and top_p."""
        top = logprobs_V.topk(min(count, logprobs_V.shape[-1]))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        shown = tuple((self._decode([i]), value) for i, value in pairs if value > float("-inf"))
        return TokenLogprob(self._decode([token]), float(logprobs_V[token]), shown)


def _draw(rows: Sequence[Writing], logits_RV: torch.Tensor) -> list[int]:
    """One token per row, by temperature and top_p."""
    if not rows:
        return []
    heat_R1 = torch.tensor([[row.request.sampling.temperature] for row in rows])
    probs_RV = (logits_RV / heat_R1).softmax(-1)
    places = torch.tensor([row.draw() for row in rows], dtype=torch.float64)[:, None]
    whole = [i for i, row in enumerate(rows) if row.request.sampling.top_p >= 1.0]
    found = dict(zip(whole, _at(probs_RV[whole], places[whole]), strict=True))
    for i in range(len(rows)):
        if i not in found:
            found[i] = _of_likeliest(probs_RV[i], rows[i].request.sampling.top_p, places[i])
    return [found[i] for i in range(len(rows))]


def _at(probs_RN: torch.Tensor, places_R1: torch.Tensor) -> list[int]:
    """Where each row's cumulated probability first exceeds its number's share of the whole: never at a zero."""
    sums_RN = probs_RN.double().cumsum(-1)
    found: list[int] = torch.searchsorted(sums_RN, places_R1 * sums_RN[:, -1:], right=True)[:, 0].tolist()
    return found


def _of_likeliest(probs_V: torch.Tensor, top_p: float, place_1: torch.Tensor) -> int:
    """Drawn from the likeliest tokens that reach `top_p` together. Few are sorted; all, where those do not reach it."""
    some = probs_V.topk(min(_LIKELY, len(probs_V)))
    values_N, order_N = some.values, some.indices
    if values_N.sum() < top_p:
        values_N, order_N = probs_V.sort(descending=True)
    kept_N = torch.where(values_N.cumsum(-1) - values_N < top_p, values_N, 0.0)
    return int(order_N[_at(kept_N[None], place_1[None])[0]])
