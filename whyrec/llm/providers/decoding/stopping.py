"""Looks for stop texts while an answer is written, without reading the whole answer again at every token.

A token's text depends on its neighbours (a character may be several tokens, a leading space may belong to the token),
so what is new is the text of the last few tokens less the text that they had before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

_HALF = "\N{REPLACEMENT CHARACTER}"  # what is shown for a character that is not complete
_MOST = 16  # tokens that are read again at the most where a character never gets complete


class Stops:
    """Of one row.

    Args:
        texts: any of them ends the answer.
        decode: tokens to text.
    """

    def __init__(self, texts: Sequence[str], decode: Callable[[Sequence[int]], str]) -> None:
        self._texts, self._decode = [text for text in texts if text], decode
        self._kept = max(map(len, self._texts), default=1) - 1
        self._tail = ""  # the end of the text so far: a stop text may have begun in it
        self._from, self._to = 0, 0  # tokens whose text is known: said[:to]; said[from:to] are read again

    def seen(self, said: Sequence[int]) -> bool:
        """Whether a stop text has appeared; `said` is all tokens so far, at least one more than last time."""
        before = self._decode(said[self._from : self._to])
        now = self._decode(said[self._from :])
        text = self._tail + now[len(before) :]
        if any(stop in text for stop in self._texts):
            return True
        if now.endswith(_HALF) and len(said) - self._from < _MOST:
            return False  # the rest of the character is to come: these tokens are read again
        self._from, self._to = self._to, len(said)
        self._tail = text[len(text) - self._kept :] if self._kept else ""
        return False
