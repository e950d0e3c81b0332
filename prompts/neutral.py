"""Text from strangers, made harmless: titles, reviews and model answers can close no block and spell no chat token.

Every special token of every chat template we know (`<|im_start|>`, `</think>`, `[INST]`, `<<SYS>>`, `<s>`,
`<start_of_turn>`, DeepSeek's `<｜User｜>`, ...) needs an angle or a square bracket, and our own marks need an angle
bracket (blocks), a square bracket (ids) or a bar (fields). So there is no list of tokens to keep up to date: those
five characters, and every character that Unicode compatibility folding turns into one of them, are replaced by a
look-alike. Characters that nobody sees go, white space becomes single spaces, and runs of `#` shrink to one
(`### Instruction`). Deterministic and idempotent, without a nonce, so caches stay valid; ordinary text stays readable.

A model's answer that is shown to it again keeps its layout (`neutralise_answer`): the same characters go, but square
brackets stay where they are JSON or prose, which is wherever no token could stand.

What is unusual: most text is plain ASCII without any of these characters, and that is decided by C-speed tests alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Characters whose NFKD form holds one of < > [ ] | or #, beside these themselves. A test proves the list complete.
_LOOKS_LIKE = {
    "‹": "<＜﹤≮",
    "›": ">＞﹥≯",
    "(": "[［﹇",
    ")": "]］﹈",
    "/": "|｜",
    "#": "＃﹟",
}
_REPLACE = str.maketrans({bad: good for good, bads in _LOOKS_LIKE.items() for bad in bads})

# Controls that are not white space, surrogates, private use, noncharacters, and Unicode's Default_Ignorable_Code_Point
# and format characters (zero width, bidi, tags, variation selectors, fillers). Ranges are spelled out, not read from
# unicodedata, so that the result does not depend on the version of Python.
_UNSEEN_RANGES = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001345f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_UNSEEN = re.compile(f"[{_UNSEEN_RANGES}]")
_HASHES = re.compile("#(?: ?#)+")

# In an answer square brackets are layout too (JSON, `Search[Grey Harbour]`, "[17]"), and so are bars and runs of #.
# Everything else is replaced as in data, and square brackets where nothing but a token can stand between them.
_IN_ANSWERS = str.maketrans({bad: good for good, bads in _LOOKS_LIKE.items() for bad in bads if bad not in "[]|#"})
_SQUARE = re.compile(r"([\[\]])")
_ROUND = {"[": "(", "]": ")"}
_TOKEN = re.compile(r"[^\s\[\](){},:\"']{2,}")
_LITERAL = re.compile(r"[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|Infinity)|true|false|null|NaN")
_BARS = re.compile(r"\|{3,}")
_SPACES = str.maketrans(dict.fromkeys("\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029", " "))


def _is_plain(text: str) -> bool:
    return (
        text.isascii()
        and text.isprintable()
        and "<" not in text
        and ">" not in text
        and "[" not in text
        and "]" not in text
        and "|" not in text
        and "#" not in text
        and "  " not in text
        and text[:1] != " "
        and text[-1:] != " "
    )


def neutralise(text: str) -> str:
    """One line of harmless text: no brackets that mark anything, nothing invisible, single spaces.

    `neutralise(neutralise(t)) == neutralise(t)`; never longer than `text`.
    """
    if _is_plain(text):
        return text
    seen = " ".join(_UNSEEN.sub("", text).translate(_REPLACE).split())
    return _HASHES.sub("#", seen) if "##" in seen or "# #" in seen else seen


def neutralise_answer(text: str, keep: Iterable[str] = ()) -> str:
    """A model's own answer, to be shown to it again: no chat token of any family survives, its layout and JSON do.

    `neutralise_answer(neutralise_answer(t)) == neutralise_answer(t)`; never longer than `text`.

    Args:
        text: the answer.
        keep: names of tags that belong to the answer's format and stay.
    """
    clean = _UNSEEN.sub("", text).translate(_SPACES)
    names = "|".join(re.escape(name) for name in keep)
    pieces = re.split(f"(</?(?:{names})>)", clean) if names else [clean]
    pieces[::2] = [piece.translate(_IN_ANSWERS) for piece in pieces[::2]]
    return _BARS.sub(lambda bars: "/" * len(bars[0]), _without_square_tokens("".join(pieces)))


def _without_square_tokens(text: str) -> str:
    """Round brackets for two square ones, in whatever direction, with one word between them that is no number.

    `[INST]`, `[|user|]`, `[control_8]`, `]~b]` and `[e~[` are tokens; `["a", "b"]`, `[1, 2]`, `[17]`, `[true]` and
    `[citation needed]` are not.
    """
    pieces = _SQUARE.split(text)  # words at even places, brackets at odd ones
    hidden = set()
    for place in range(2, len(pieces) - 1, 2):
        word = pieces[place]
        if _TOKEN.fullmatch(word) and not _LITERAL.fullmatch(word):
            hidden |= {place - 1, place + 1}
    return "".join(_ROUND[piece] if place in hidden else piece for place, piece in enumerate(pieces))
