"""The last product in float32 where it decides, for weights in a shorter precision.

A logit of 20 that was rounded to bfloat16 is one of 20, 20.125, ...: tokens tie, and probabilities are off by several
per cent. Computing all logits in float32 costs as much as a quarter of the network. So the rounded ones say which
tokens may be the largest, which is known within the rounding, and those few are computed again; all of a row's are
where its probabilities are looked at.

Shapes: N places of the latest pass, R rows among them, V vocabulary, E width.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch

_ROUNDED = 2.0**-6  # of the largest logit: more than two of them, rounded to 8 bits, can be out of order by
_FEW = 256  # logits of one row that are computed one by one rather than all


class Head:
    """Watches a network's output layer.

    Args:
        model: as transformers loads it.
    """

    def __init__(self, model: Any) -> None:
        layer = model.get_output_embeddings()
        self._weight_VE, self._bias_V = layer.weight, getattr(layer, "bias", None)
        self._whole_VE: torch.Tensor | None = None
        self._hidden_NE = torch.zeros(0)
        self._out: torch.Tensor | None = None
        self._watch = layer.register_forward_hook(self._seen)

    def _seen(self, layer: Any, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        self._hidden_NE, self._out = given[0].reshape(-1, given[0].shape[-1]), out

    def changed(self, logits: torch.Tensor) -> bool:
        """Whether the network did something to the logits after this layer (caps, scales): then this is not for it."""
        out, self._out = self._out, None
        return out is None or out.data_ptr() != logits.data_ptr()

    def leave(self) -> None:
        """Stop watching."""
        self._watch.remove()

    def sharpen(self, logits_RV: torch.Tensor, places: Sequence[int], whole: Collection[int]) -> None:
        """Make logits exact, in place; those of -inf are forbidden and stay.

        Args:
            logits_RV: float32, rounded.
            places: where in the latest pass the rows stand.
            whole: rows whose every logit counts; of the others the largest does.
        """
        hidden_RE = self._hidden_NE[list(places)].float()
        allowed_RV = logits_RV.isfinite()
        best_R1 = logits_RV.amax(-1, keepdim=True)
        near_RV = logits_RV >= best_R1 - _ROUNDED * best_R1.abs()
        many = [i for i in whole if int(allowed_RV[i].sum()) > _FEW]
        for i in whole:
            near_RV[i] = allowed_RV[i]
        if many:
            near_RV[many] = False
            logits_RV[many] = torch.where(allowed_RV[many], self._all(hidden_RE[many]), logits_RV[many])
        rows, tokens = (near_RV & allowed_RV).nonzero(as_tuple=True)
        exact = (hidden_RE[rows] * self._weight_VE[tokens].float()).sum(-1)
        logits_RV[rows, tokens] = exact if self._bias_V is None else exact + self._bias_V[tokens].float()

    def _all(self, hidden_RE: torch.Tensor) -> torch.Tensor:
        whole_VE = self._whole_VE if self._whole_VE is not None else self._weight_VE.float()
        self._whole_VE = whole_VE
        exact_RV = hidden_RE @ whole_VE.T
        return exact_RV if self._bias_V is None else exact_RV + self._bias_V.float()
