"""Text from strangers, made harmless: titles, reviews and model answers can close no block and spell no chat token.

Every special token of every chat template we know (`<|im_start|>`, `</think>`, `[INST]`, `<<SYS>>`, `<s>`,
`<start_of_turn>`, DeepSeek's `<｜User｜>`, ...) needs an angle or a square bracket, and our own marks need an angle
bracket (blocks), a square bracket (ids) or a bar (fields). So there is no list of tokens to keep up to date: those
five characters, and every character that Unicode compatibility folding turns into one of them, are replaced by a
look-alike. Characters that nobody sees go, white space becomes single spaces, and runs of `#` shrink to one
(`### Instruction`). Deterministic and idempotent, without a nonce, so caches stay valid; ordinary text stays readable.

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
_BRACKET_TOKEN = re.compile(r"\[(/?[A-Za-z_]{2,})\]")
_ANGLES = str.maketrans({c: good for good in "‹›" for c in _LOOKS_LIKE[good]})


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
    """A model's own answer, to be shown to it again: chat tokens cannot survive, its layout and JSON can.

    Args:
        text: the answer.
        keep: names of tags that belong to the answer's format and stay.
    """
    names = "|".join(re.escape(name) for name in keep)
    pieces = re.split(f"(</?(?:{names})>)", text) if names else [text]
    for place in range(0, len(pieces), 2):
        clean = _UNSEEN.sub("", pieces[place]).translate(_ANGLES)
        pieces[place] = _BRACKET_TOKEN.sub(r"(\1)", clean)
    return "".join(pieces)
