"""What ten questions of each form say, in a sentence: which forms a model is fit for, and which it is not.

Fit means that at least eight of ten answers can be used; of letters, that at least seven are right, because every model
whose probabilities can be read names some letter (seven of ten by chance among four: once in 285 times).
"""

from __future__ import annotations

from collections.abc import Sequence

from whyrec.workbench.fitness.asking import Fit

_USABLE, _RIGHT = 0.8, 0.7


def is_fit(fit: Fit) -> bool:
    """Whether answers of this form can be relied upon to come, and letters to mean something."""
    if fit.form == "letters":
        return fit.right >= _RIGHT * fit.asked
    return fit.usable >= _USABLE * fit.asked


def verdict(fits: Sequence[Fit]) -> str:
    """Plain sentences for a person who has to decide."""
    good = [fit.form for fit in fits if is_fit(fit)]
    bad = [f"{fit.form} ({_why(fit)})" for fit in fits if not is_fit(fit)]
    said = f"Fit for {_listed(good)}" if good else "Fit for no form of answer"
    said += f"{',' if good else ':'} not for {_listed(bad)}." if bad else "."
    wrong = [fit for fit in fits if fit.form != "letters" and is_fit(fit) and fit.right < fit.usable / 2]
    if wrong:
        told = _listed([f"{fit.form} ({fit.right} of {fit.usable} right)" for fit in wrong])
        said += f" It keeps the shape, but most of what it says in it is wrong: {told}."
    return said


def _why(fit: Fit) -> str:
    if fit.form == "letters" and fit.usable == fit.asked:
        return f"{fit.right} of {fit.asked} right, {fit.asked / 4:g} are chance"
    return f"{fit.usable} of {fit.asked} usable"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
