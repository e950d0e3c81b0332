"""Where an OpenAI-compatible model lives, read from its name: `MODEL`, `MODEL@URL`, `MODEL@URL?option=value&...`.

Options say what cannot be guessed: `timeout` (seconds), `key` (environment variable with the API key), `drop` (request
fields the model refuses, as `drop=temperature,seed`), `extra` (JSON merged into every request), `chat_template_kwargs`
(JSON; vLLM), and every field of `Capabilities` that describes a server (`schema`, `n`, `prefix`, `score`, ...).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

import orjson

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.capabilities import Capabilities, PrefixWay, SchemaWay, ScoreWay, SystemWay, ThinkingWay
from whyrec.llm.naming.keys import check_variable, given_base_url
from whyrec.llm.naming.urls import Place, read_url

# Where a scheme's server is when the name does not say it.
DEFAULT_URLS = {
    "openai": "https://api.openai.com/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
}
WAYS = frozenset({"timeout", "key"})  # options that say how a model is reached, which changes no answer
_URL = re.compile(r"@(?=https?:)", re.IGNORECASE)
_OWN = ("timeout", "key", "drop", "extra", "chat_template_kwargs")
_CHOICES: dict[str, tuple[str, ...]] = {
    "schema": get_args(SchemaWay),
    "prefix": get_args(PrefixWay),
    "score": get_args(ScoreWay),
    "system": get_args(SystemWay),
    "thinking": get_args(ThinkingWay),
    "n": ("yes", "no"),
    "choice": ("yes", "no"),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed name.

    Attributes:
        name: the name as given, scheme included, without a login: it opens the model again.
        model: the model as the server calls it.
        place: the server.
        options: what stood behind the question mark.
        same: what names that mean the same model have in common: the server in one spelling (left out where it is the
            scheme's own), options in order, nothing of how the server is reached.
    """

    name: str
    model: str
    place: Place
    options: Mapping[str, str]
    same: str

    @property
    def timeout_s(self) -> float:
        """How long to wait for one answer."""
        text = self.options.get("timeout", "300")
        seconds = float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{0,6})?", text) else 0.0
        if seconds <= 0:
            raise UsageError(f"The option timeout={text} of {self.name} is not a number of seconds above 0.")
        return seconds

    @property
    def where(self) -> str:
        """The name, with the URL where the name does not say it: how errors speak of the model."""
        return self.name if self.url in self.name else f"{self.name} ({self.url})"

    @property
    def url(self) -> str:
        """The base URL, without login and without a slash at its end ("https://api.openai.com/v1")."""
        return self.place.url

    @property
    def host(self) -> str:
        """The server's host name."""
        return self.place.host

    @property
    def local(self) -> bool:
        """Whether the server is on this machine, where answers cost nothing."""
        return self.place.local

    @property
    def drop(self) -> frozenset[str]:
        """Request fields that are never sent."""
        return frozenset(filter(None, self.options.get("drop", "").split(",")))

    @property
    def extra(self) -> dict[str, Any]:
        """Fields merged into every request."""
        found = self._object("extra")
        if "chat_template_kwargs" in self.options:
            found["chat_template_kwargs"] = self._object("chat_template_kwargs")
        return found

    def capabilities(self, base: Capabilities) -> Capabilities:
        """`base` with what the options say on top."""
        given: dict[str, Any] = {}
        for option, choices in _CHOICES.items():
            if (value := self.options.get(option)) is None:
                continue
            if value not in choices:
                raise UsageError(f"The option {option}={value} of {self.name} must be one of {', '.join(choices)}.")
            given[option] = value == "yes" if choices == ("yes", "no") else value
        if "logprobs" in self.options:
            given["logprobs"] = self._whole("logprobs")
        return replace(base, **given)

    def _whole(self, option: str) -> int:
        text = self.options[option]
        if not re.fullmatch("[0-9]{1,9}", text):
            raise UsageError(f"The option {option}={text} of {self.name} must be a whole number.")
        return int(text)

    def _object(self, option: str) -> dict[str, Any]:
        return read_object(self.options.get(option, "{}"), option, self.name)


def read_object(text: str, option: str, of: str) -> dict[str, Any]:
    """The JSON object that an option gives.

    Raises:
        UsageError: it is none, or none that can be sent: nested too deeply, with NaN, or with half a character.
    """
    try:
        found = json.loads(text, parse_constant=_no_number)
        orjson.dumps(found)
    except (ValueError, TypeError, RecursionError) as error:  # orjson's errors are TypeErrors
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(f"The option {option}={_short(text)} of {_short(of)} is not a JSON object ({why}).") from None
    if not isinstance(found, dict):
        raise UsageError(f"The option {option}={_short(text)} of {_short(of)} is not a JSON object.")
    return found


def with_base_url(rest: str) -> str:
    """What stands behind `openai:`, with the server of OPENAI_BASE_URL where it names none."""
    given = given_base_url()
    if not given or _URL.search(rest.partition("?")[0]):
        return rest
    model, mark, query = rest.partition("?")
    read_url(given, "the variable OPENAI_BASE_URL")
    return f"{model}@{given}{mark}{query}"


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number that JSON knows")


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def read_options(text: str, separator: str) -> dict[str, str]:
    """`name=value` pairs; a name without a value has the value ""."""
    found = {}
    for pair in filter(None, text.split(separator)):
        name, _, value = pair.partition("=")
        found[name] = value
    return found


def parse(scheme: str, rest: str, default_url: str = "") -> Address:
    """Read what stands behind the scheme.

    Args:
        scheme: one of `DEFAULT_URLS`.
        rest: the name without it.
        default_url: the server where `rest` names none; the scheme's own by default.

    Raises:
        UsageError: no model is named, the URL is none, or the key stands where its variable's name should.
        UnknownNameError: an option nobody knows.
    """
    before, _, query = rest.partition("?")
    model, *urls = _URL.split(before, maxsplit=1)
    options = read_options(query, "&")
    shown = f"{scheme}:{model}"
    if "key" in options:
        check_variable(options["key"], shown)
    place = read_url(urls[0] if urls else default_url or DEFAULT_URLS[scheme], shown)
    name = f"{scheme}:{rest}"
    if place.login is not None:
        name = f"{shown}@{place.url}" + (f"?{query}" if query else "")
    if not model:
        raise UsageError(
            f"{name!r} names no model. Write {scheme}:MODEL or {scheme}:MODEL@URL; {place.url}/models lists what is "
            f"there."
        )
    if found := re.search(r"@[\w.-]+:\d+(/|$)", model):
        raise UsageError(
            f"{name!r} has a server without http://; write {scheme}:{model[: found.start()]}@http://"
            f"{model[found.start() + 1 :]}."
        )
    known = {*_OWN, *_CHOICES, "logprobs"}
    assert known - set(_OWN) <= {f.name for f in fields(Capabilities)}
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {scheme} models", option, known)
    usual = place.url == read_url(DEFAULT_URLS[scheme], shown).url
    same = f"{shown}" + ("" if usual else f"@{place.url}") + _same_options(options)
    return Address(name=name, model=model, place=place, options=options, same=same)


def _same_options(options: Mapping[str, str]) -> str:
    """Options that can change an answer, in order, JSON in one spelling."""
    told = {}
    for option, text in options.items():
        if option in WAYS:
            continue
        if option == "drop":
            text = ",".join(sorted(filter(None, text.split(","))))
        elif option in ("extra", "chat_template_kwargs"):
            text = json.dumps(read_object(text, option, "this model"), sort_keys=True, separators=(",", ":"))
        told[option] = text
    return "".join(f"{'&' if i else '?'}{option}={told[option]}" for i, option in enumerate(sorted(told)))
