"""What tables ask of a ranker for its position bias, how it reads letters, and both in words; alike in all tables."""

from __future__ import annotations

from evals.registry import Options

BIAS, ROTATED = "MAPB", "MAPB by rotations"

_READ = {
    "any": "letters are read in the first way that the model can, the same in all rows that are compared",
    "logprobs": "letters are read by their log-probabilities at the first token, renormalised over the letters",
    "score": "letters are read by the likelihood of each as a continuation, renormalised over the letters",
    "answer": "letters are read by the one that the model says, all others equal",
}


def bias_orders(options: Options, candidates: int) -> tuple[tuple[str, str], ...]:
    """The workflow's options for the orders that position bias is measured by."""
    return ("placements", str(candidates)), ("placing", "both" if options.rotations else "swap")


def bias_in_words(options: Options) -> str:
    """How the measures are made and what they mean, for a protocol."""
    beside = f", {ROTATED}: all rotations of that order" if options.rotations else ""
    return (
        f"{BIAS}: the target changes places with each candidate of one order, as in the paper's code{beside} (0: "
        "places are ignored, 2.33: random, 2.5: only letters are read)"
    )


def labels_in_words(options: Options) -> str:
    """How letters are read, for a protocol."""
    return _READ[options.labels]
