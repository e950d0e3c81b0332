"""Texts as they are compared: folded to their words, counted, and looked through for what is said again and again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # scripts without spaces between words
_ENDS = re.compile(r"[.!?;:\n。！？]+")
_ANSWER = re.compile(r"(?:final )?answer\W{0,4}(?:yes|no)\b|\b(?:yes|no)\b", re.IGNORECASE)
_SENTENCE = 4  # words from which something said between two full stops can be a sentence
_AGAIN = 5  # words of a sentence that should not stand again
_OFTEN, _SHARE = 3, 0.2  # times that it stands once more, or share of the text that stands there once more
_FEWEST = 4  # words in which anything can stand too often
_LONGEST = 12  # words of a run that is looked for again right behind itself
_GRAM, _LEAST, _FRESH = 4, 24, 0.45  # runs of four words, from so many on, and the share of them that has to differ


@lru_cache(maxsize=1024)
def words(text: str) -> tuple[str, ...]:
    """The words of a text without case and punctuation. Kept, as every check of an answer asks for them again."""
    return tuple(" ".join(_WORD.findall(text)).casefold().split())


def fold(text: str) -> str:
    """The words of a text with single spaces between."""
    return " ".join(words(text))


def count(text: str) -> int:
    """How many words a text has; two signs of a script without spaces count as one."""
    dense = 0 if text.isascii() else len(_DENSE.findall(text))
    return len(words(_DENSE.sub(" ", text)) if dense else words(text)) + dense // 2


def has_sentence(text: str) -> bool:
    """Whether something in it can be a sentence: a few words in a row beside a bare yes or no."""
    return any(count(part) >= _SENTENCE for part in _ENDS.split(_ANSWER.sub(" ", text)))


def loop(text: str) -> str:
    """What a text says again and again, "" where it does not: a sentence, a run of words, or hardly a new word."""
    said = words(text)
    if len(said) < _FEWEST or len(set(said)) == len(said):
        return ""
    sentences = [one for one in map(fold, _ENDS.split(text)) if one.count(" ") >= _AGAIN - 1]
    again = {one: times - 1 for one, times in Counter(sentences).items() if times > 1}
    extra = sum(times * (one.count(" ") + 1) for one, times in again.items())
    if again and (max(again.values()) >= _OFTEN or extra >= _SHARE * len(said)):
        return max(again, key=lambda one: again[one])
    return _run(said) or _stale(said)


def _run(said: Sequence[str]) -> str:
    """A run of words that stands three times in a row; a single word, four times."""
    for size in range(1, _LONGEST + 1):
        needed = size * (3 if size == 1 else 2)  # words in a row that are the same as `size` words before
        same = 0
        for at in range(size, len(said)):
            same = same + 1 if said[at] == said[at - size] else 0
            if same >= needed:
                return " ".join(said[at - size + 1 : at + 1])
    return ""


def _stale(said: Sequence[str]) -> str:
    """The run of words that stands most often, where most runs stand more than once."""
    runs = [" ".join(said[at : at + _GRAM]) for at in range(len(said) - _GRAM + 1)]
    if len(runs) < _LEAST or len(set(runs)) >= _FRESH * len(runs):
        return ""
    often = Counter(runs)
    return max(often, key=lambda run: often[run])
