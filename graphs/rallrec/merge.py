"""Consistency-based merging (RALLRec+ eq. 10) and its rivals: pure functions of samples and an expert's opinion.

    P = (alpha P_R / (s_R^2 + eps) + P_G / (s_G^2 + eps)) / (alpha / (s_R^2 + eps) + 1 / (s_G^2 + eps))

P_R and s_R^2 are mean and population variance of the reasoning samples, P_G and s_G^2 those of the expert. The paper
does not say where s_G^2 comes from; here it is the variance over the ways of showing the history (spec 5.a), and 0
where an expert was asked once. With s_G^2 = 0 and the paper's alpha = .1, eps = .001 the expert has at least ten times
the weight of the samples: "merging" is then nearly the expert alone, which tables show beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Merging: TypeAlias = Literal["consistency", "constant", "reasoning", "expert"]
Floats: TypeAlias = npt.NDArray[np.float64]
ALPHA, EPSILON = 0.1, 1e-3


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the expert thinks of a row.

    Attributes:
        probability: P_G.
        variance: s_G^2.
    """

    probability: float
    variance: float = 0.0


def merged(
    samples: Sequence[float],
    opinion: Opinion | None,
    *,
    merging: Merging = "consistency",
    alpha: float = ALPHA,
    epsilon: float = EPSILON,
) -> float:
    """The final probability.

    Args:
        samples: P(yes) of each reasoning sample.
        opinion: the expert's, None where there is none: then the samples' mean is all there is.
        merging: eq. 10; its weights held constant (alpha and 1), the ablation without consistency; or one side alone.
        alpha, epsilon: see the module.
    """
    own = np.array(samples, dtype=np.float64)[None]
    other = None if opinion is None else np.array([[opinion.probability, opinion.variance]])
    return float(merged_rows(own, other, merging=merging, alpha=alpha, epsilon=epsilon)[0])


def merged_rows(
    samples_NR: Floats,
    opinions_N2: Floats | None,
    *,
    merging: Merging = "consistency",
    alpha: float = ALPHA,
    epsilon: float = EPSILON,
) -> Floats:
    """`merged` for N rows of at most R samples each, NaN where one is missing; opinions are (probability, variance).

    Mean and variance are over the samples there are. float64[N].
    """
    own: Floats = np.nanmean(samples_NR, axis=1)
    if opinions_N2 is None or merging == "reasoning":
        return own
    expert: Floats = opinions_N2[:, 0]
    if merging == "expert":
        return expert
    if merging == "constant":
        w_own, w_expert = np.full(len(own), alpha), np.ones(len(own))
    else:
        w_own, w_expert = alpha / (np.nanvar(samples_NR, axis=1) + epsilon), 1.0 / (opinions_N2[:, 1] + epsilon)
    both: Floats = (w_own * own + w_expert * expert) / (w_own + w_expert)
    return both


def hedged(probability: float) -> str:
    """The released code's sentence: how sure it sounds depends on how far from one half the opinion is."""
    far = abs(probability - 0.5)
    sure = "is" if far > 0.2 else "may be" if far > 0.1 else "might be"
    return f"Someone else thinks the answer {sure} {_word(probability)}."


def plain(probability: float) -> str:
    """The paper's sentence (4.3.2), which always says "might be"."""
    return f"Someone else thinks the answer might be {_word(probability)}."


def _word(probability: float) -> str:
    return "Yes" if probability > 0.5 else "No"
