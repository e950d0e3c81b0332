"""Where an OpenAI-compatible model lives, read from its name: `MODEL`, `MODEL@URL`, `MODEL@URL?option=value&...`.

Options say what cannot be guessed: `timeout` (seconds), `key` (environment variable with the API key), `drop` (request
fields the model refuses, as `drop=temperature,seed`), `extra` (JSON merged into every request), `chat_template_kwargs`
(JSON; vLLM), and every field of `Capabilities` that describes a server (`schema`, `n`, `prefix`, `score`, ...).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args
from urllib.parse import urlsplit

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.capabilities import Capabilities, PrefixWay, SchemaWay, ScoreWay, SystemWay

# Hosts whose key has a customary name. A key is sent to the host it belongs to and to no other.
_KEYS = {
    "api.openai.com": "OPENAI_API_KEY",
    "openrouter.ai": "OPENROUTER_API_KEY",
    "api.deepseek.com": "DEEPSEEK_API_KEY",
    "api.groq.com": "GROQ_API_KEY",
    "api.mistral.ai": "MISTRAL_API_KEY",
    "api.together.xyz": "TOGETHER_API_KEY",
    "api.fireworks.ai": "FIREWORKS_API_KEY",
    "api.x.ai": "XAI_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
}
_OWN = ("timeout", "key", "drop", "extra", "chat_template_kwargs")
_CHOICES: dict[str, tuple[str, ...]] = {
    "schema": get_args(SchemaWay),
    "prefix": get_args(PrefixWay),
    "score": get_args(ScoreWay),
    "system": get_args(SystemWay),
    "n": ("yes", "no"),
    "choice": ("yes", "no"),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed name.

    Attributes:
        name: the name as given, scheme included: it opens the model again.
        model: the model as the server calls it.
        url: the base URL, without a slash at its end ("https://api.openai.com/v1").
        options: what stood behind the question mark.
    """

    name: str
    model: str
    url: str
    options: Mapping[str, str]

    @property
    def timeout_s(self) -> float:
        """How long to wait for one answer."""
        text = self.options.get("timeout", "300")
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if seconds <= 0:
            raise UsageError(f"The option timeout={text} of {self.name} is not a number of seconds above 0.")
        return seconds

    @property
    def where(self) -> str:
        """The name, with the URL where the name does not say it: how errors speak of the model."""
        return self.name if self.url in self.name else f"{self.name} ({self.url})"

    @property
    def host(self) -> str:
        """The server's host name."""
        return urlsplit(self.url).hostname or ""

    @property
    def local(self) -> bool:
        """Whether the server is on this machine, where answers cost nothing."""
        return self.host in ("localhost", "127.0.0.1", "::1")

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

    def key_variable(self, scheme_key: str) -> str:
        """The environment variable that holds the API key: the option's, the host's, or the scheme's ("" for none)."""
        return self.options.get("key") or _KEYS.get(self.host, scheme_key)

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
        if not self.options[option].isdigit():
            raise UsageError(f"The option {option}={self.options[option]} of {self.name} must be a whole number.")
        return int(self.options[option])

    def _object(self, option: str) -> dict[str, Any]:
        text = self.options.get(option, "{}")
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UsageError(f"The option {option}={text} of {self.name} is not a JSON object.")
        return found


def read_options(text: str, separator: str) -> dict[str, str]:
    """`name=value` pairs; a name without a value has the value ""."""
    found = {}
    for pair in filter(None, text.split(separator)):
        name, _, value = pair.partition("=")
        found[name] = value
    return found


def parse(scheme: str, rest: str, default_url: str) -> Address:
    """Read what stands behind the scheme.

    Raises:
        UsageError: no model is named, or the URL is none.
        UnknownNameError: an option nobody knows.
    """
    name = f"{scheme}:{rest}"
    before, _, query = rest.partition("?")
    model, _, url = before.partition("@http")
    url = f"http{url}" if url else default_url
    if not model:
        raise UsageError(
            f"{name!r} names no model. Write {scheme}:MODEL or {scheme}:MODEL@URL; {url}/models lists what is there."
        )
    if re.search(r"@[\w.-]+:\d+(/|$)", model):
        place = model.rpartition("@")
        raise UsageError(f"{name!r} has a server without http://; write {scheme}:{place[0]}@http://{place[2]}.")
    if not urlsplit(url).hostname:
        raise UsageError(f"{url!r} in {name!r} is not a URL such as http://127.0.0.1:8000/v1.")
    options = read_options(query, "&")
    known = {*_OWN, *_CHOICES, "logprobs"}
    assert known - set(_OWN) <= {f.name for f in fields(Capabilities)}
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {scheme} models", option, known)
    return Address(name=name, model=model, url=url.rstrip("/"), options=options)


def read_key(variable: str) -> str:
    """The API key from the environment, "" where none is set.

    Raises:
        UsageError: it is none.
    """
    key = os.environ.get(variable, "").strip() if variable else ""
    if not key.isascii() or any(c.isspace() for c in key):
        raise UsageError(f"The API key in the environment variable {variable} has characters that no key has.")
    return key
