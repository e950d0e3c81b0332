"""Keys and passwords are neither stored nor shown: one place knows them, and every text passes it on its way out.

Two kinds of text, two cuts. `cut` takes out the values that this process knows to be secret: those of variables named
like a key's, of the variable that a model's name points to, and the passwords in addresses. It is for what data and
models say, where nothing else may be touched. `redact` also takes out what is only shaped like a secret, and is for our
own sentences: errors, commands, names of models.

A value is found as it is, as JSON, URLs and HTML write it, and shortened to its beginning or its end.

Unusual: what is known is one set per process, like the environment that most of it comes from. A door that nobody
passed the set to would be the one through which a key leaves.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MARK = "[secret]"
LEAST = 8  # characters of a secret, or of a piece of one, that is looked for
_PIECE = 8
_LONG = 16  # a value this long with a digit in it is a key, whatever else it looks like
_NAMED = re.compile(r"(?i)(?:^|[_-])(?:api_?key|token|secret|password|passwd|access_key|auth|credentials?)$")
_KEYS = re.compile(r"(?i)_key$")  # such variables count where their value looks like a key
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z]{1,16}")
_MASKED = re.compile(r"[*.•…]{2,}[\w-]{0,12}|…[\w-]{0,12}")
_ADDRESS = re.compile(r"(?i)[a-z][a-z0-9+.-]{0,15}://")
_LOGIN = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{0,15}://([^/\s@?#\"']{1,500})@(?=[^\s@/?#])")
_OPTION = re.compile(r"(?i)[?&]key=([^&\s\"']+)")
_ASSIGNED = re.compile(
    r"(?i)\b([\w-]{0,40}(?:api[_-]?key|token|secret|password))"
    r"(\\?[\"']?\s{0,3}[=:]\s{0,3}\\?[\"']?)(?!\[secret\])([^\s\"'&,;\\]{4,})"
)
_WORDS = ("key", "token", "secret", "password", "bearer", "basic")
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s{1,3})([\w\-.~+/=]{6,})")

SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("an OpenAI-like key", re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9](?:[\w-]{14,})[A-Za-z0-9]\b")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{16,}\b")),
    ("an AWS key id", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a Google key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})\b")),
    ("a Groq or xAI key", re.compile(r"\b(?:gsk|xai)[-_][A-Za-z0-9]{16,}\b")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b")),
    ("a bearer token", re.compile(r"(?i)\bbearer\s+(?=[\w.~+/-]*\d)[\w.~+/-]{16,}=*")),
    ("basic authorisation", re.compile(r"(?i)\bauthorization\W{1,4}basic\s+[A-Za-z0-9+/]{8,}=*")),
    ("a password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s:@]{3,}@[^\s/]")),
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
)
_SHAPED = re.compile(r"\b(?:(?:sk|pk|hf|gsk|xai|ghp)[-_][\w-]{8,}|(?:AKIA|ASIA)[0-9A-Z]{16}\b|AIza[0-9A-Za-z_-]{35}\b)")
_SIGNS = ("sk-", "sk_", "pk-", "pk_", "hf-", "hf_", "gsk", "xai", "ghp", "AKIA", "ASIA", "AIza")
_KEY_LIKE = re.compile(r"(?:sk|pk|rk|hf|gsk|xai|ghp|gho|ghs|xox[abprs]|github_pat|AIza)[-_]?")


class Redaction:
    """Values that are secret, and the texts without them."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._forms: list[tuple[str, tuple[tuple[str, int], ...]]] = []
        self._signs: tuple[str, ...] = ()
        self._raw_signs: tuple[bytes, ...] = ()

    @property
    def values(self) -> Mapping[str, str]:
        """What is known, by value: what it is in words ("the value of OPENAI_API_KEY")."""
        return self._values

    def learn(self, value: str, what: str) -> None:
        """From now on this is secret. A short value and a plain word are not: they would be cut out of any text."""
        value = value.strip()
        if value in self._values or len(value) < LEAST or (value.isalpha() and len(value) < 12 and _one_case(value)):
            return
        self._values[value] = what
        made = self._forms + [(form, _pieces(form, value)) for form in _forms(value)]
        self._forms = sorted(made, key=lambda form: -len(form[0]))  # a key that begins like another is cut whole
        self._signs = tuple(dict.fromkeys(sign for _, pieces in self._forms for sign, _ in pieces))
        self._raw_signs = tuple(sign.encode("utf-8", "surrogatepass") for sign in self._signs)

    def learn_environment(self, environment: Mapping[str, str] | None = None) -> None:
        """The values of variables named like a key's, and the passwords in addresses (a proxy's, a database's)."""
        for name, value in (os.environ if environment is None else environment).items():
            if _NAMED.search(name) or (_KEYS.search(name) and _looks_like_a_key(value)):
                self.learn(value, f"the value of {name}")
            elif _ADDRESS.match(value):
                self.learn_text(value, f"the password in {name}")

    def learn_text(self, text: str, what: str = "a key in a command") -> None:
        """What stands in a text where a key or a password stands: in addresses, options and fields of that name."""
        for found in _LOGIN.finditer(text):
            user, colon, password = found[1].partition(":")
            self.learn(_unquoted(password if colon else user), what)
            self.learn(password if colon else user, what)
        for found in _OPTION.finditer(text):
            if not is_variable(found[1]):
                self.learn(found[1], what)
        for found in (*_ASSIGNED.finditer(text), *_BEARER.finditer(text)):
            self.learn(found[3], what)

    def learn_arguments(self, arguments: Sequence[str]) -> None:
        """What stands in a command line where a key stands, also as the word after `--api-key`."""
        for before, argument in zip(("", *arguments), arguments, strict=False):
            self.learn_text(argument)
            if before.startswith("-") and is_secret_name(before.lstrip("-").replace("-", "_")):
                self.learn(argument, "a key in a command")

    def forget(self) -> None:
        """Nothing is secret any more (between tests)."""
        self.__init__()  # type: ignore[misc]

    def cut(self, text: str) -> str:
        """The text without the values that are known, whole or in pieces."""
        for sign in self._signs:
            if sign in text:
                break
        else:
            return text
        for form, pieces in self._forms:
            if form in text:
                text = text.replace(form, MARK)
            for sign, at in pieces:
                if sign in text:
                    text = _without(text, form, sign, at)
        return text

    def cut_bytes(self, raw: bytes) -> bytes:
        """`cut` of a body that is UTF-8 or nearly so."""
        for sign in self._raw_signs:
            if sign in raw:
                break
        else:
            return raw
        return self.cut(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def cut_in(self, value: Any) -> Any:
        """`cut` of every text in a value made of lists and mappings."""
        if isinstance(value, str):
            return self.cut(value)
        if isinstance(value, Mapping):
            return {self.cut_in(name): self.cut_in(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.cut_in(part) for part in value]
        return value

    def redact(self, text: str) -> str:
        """`cut`, and without what is shaped like a secret: logins in addresses, authorisation, `api_key=...`, keys."""
        text = self.cut(text)
        if "@" in text:
            text = _LOGIN.sub(lambda found: found[0].replace(f"{found[1]}@", f"{MARK}@"), text)
        lower = text.lower()
        if any(word in lower for word in _WORDS):
            text = _OPTION.sub(lambda found: found[0] if is_variable(found[1]) else _tail_cut(found), text)
            text = _BEARER.sub(rf"\1\2{MARK}", text)
            text = _ASSIGNED.sub(lambda found: f"{found[1]}{found[2]}{MARK}", text)
        return _SHAPED.sub(MARK, text) if any(sign in text for sign in _SIGNS) else text

    def find(self, text: str) -> Iterator[str]:
        """What of the known values is in a text, in words."""
        if self.cut(text) == text:
            return
        for value, what in self._values.items():
            alone = Redaction()
            alone.learn(value, what)
            if alone.cut(text) != text:
                yield f"{what} ({value[:4]}…)"


KNOWN = Redaction()


def cut(text: str) -> str:
    """`Redaction.cut` of what this process knows."""
    return KNOWN.cut(text)


def redact(text: str) -> str:
    """`Redaction.redact` of what this process knows."""
    return KNOWN.redact(text)


class _Guarded(io.TextIOWrapper):
    """A stream that shows no keys."""

    def write(self, text: str, /) -> int:
        super().write(KNOWN.cut(text))
        return len(text)

    def give_back(self) -> None:
        """Leave the file behind it to the stream that was there before."""
        try:
            self.detach()
        except BrokenPipeError:  # whoever read along has gone: nothing more is for them, nor worth a word at the end
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.fileno())
            os.close(nothing)
            self.detach()


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Standard output and error show no keys meanwhile, tracebacks included, and escape what they cannot show."""
    before = sys.stdout, sys.stderr
    ours = sys.stdout, sys.stderr = _wrapped(before[0]), _wrapped(before[1])
    try:
        yield
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
    finally:
        sys.stdout, sys.stderr = before
        for stream in ours:
            if isinstance(stream, _Guarded):
                stream.give_back()


def _wrapped(stream: Any) -> Any:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _Guarded(
        stream.buffer,
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def is_variable(text: str) -> bool:
    """Whether this is the name of an environment variable, as against a key that was written in its place."""
    return bool(_VARIABLE.fullmatch(text) and not _SHAPED.search(text)) or text in os.environ


def is_secret_name(name: str) -> bool:
    """Whether a field or a variable of this name holds a secret."""
    return bool(_NAMED.search(name)) or name.lower() in ("authorization", "x-api-key", "apikey")


def _one_case(value: str) -> bool:
    return value.islower() or value.isupper() or value.istitle()


def _looks_like_a_key(value: str) -> bool:
    digit, mixed = any(c.isdigit() for c in value), not (value.lower() == value or value.upper() == value)
    return bool(_KEY_LIKE.match(value)) or (len(value) >= _LONG and digit) or (len(value) >= 12 and digit and mixed)


def _forms(value: str) -> list[str]:
    """The value as it is written: plain, in JSON, in JSON within JSON, in a URL, in HTML."""
    if re.fullmatch(r"[\w.~-]+", value, re.ASCII):  # most keys look the same everywhere
        return [value]
    import html
    import json
    from urllib.parse import quote, quote_plus

    once, plain = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    raw = value.encode("utf-8", "surrogatepass")
    made = [value, once, plain, json.dumps(once)[1:-1], quote(raw, safe=""), quote(raw), quote_plus(raw)]
    made += [quote(raw, safe="").lower(), once.replace("/", "\\/"), html.escape(value)]
    made.append(html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"))
    return list(dict.fromkeys(made))


def _pieces(form: str, value: str) -> tuple[tuple[str, int], ...]:
    """(piece, its place) by which a form and what is left of one are found: its beginning and its end.

    What could be words is looked for as a whole only, and a beginning goes on until it is no word.
    """
    whole = ((form, 0),)
    if len(form) <= _PIECE or not _looks_like_a_key(value) or any(c in form for c in "\\&%\"'<> "):
        return whole
    head = next((n for n in range(_PIECE, 12) if not form[:n].isalpha()), 12)
    return ((form[:head], 0), (form[-_PIECE:], len(form) - _PIECE))


def _without(text: str, form: str, sign: str, at: int) -> str:
    """The text without a piece of a secret and without what of the secret stands around it."""
    kept: list[str] = []
    start = 0
    while (found := text.find(sign, start)) >= 0:
        left, right, first, last = found, found + len(sign), at, at + len(sign)
        while first > 0 and left > start and text[left - 1] == form[first - 1]:
            left, first = left - 1, first - 1
        while last < len(form) and right < len(text) and text[right] == form[last]:
            right, last = right + 1, last + 1
        if last < len(form) and (masked := _MASKED.match(text, right)):  # "sk-abcd1****wxyz"
            right = masked.end()
        kept += [text[start:left], MARK]
        start = right
    return "".join([*kept, text[start:]])


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


def _tail_cut(found: re.Match[str]) -> str:
    return found[0][: found.start(1) - found.start()] + MARK
