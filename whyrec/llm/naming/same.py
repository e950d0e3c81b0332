"""What names of models mean: two names are one model where nothing that can change an answer differs.

The way to a model is no part of it: how long to wait, which variable holds the key, a login, a slash at the URL's end,
how many rows are decoded together. Prices, runs and the cache go by `same_model`; the name as given opens it again.
"""

from __future__ import annotations

import json

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.naming.address import DEFAULT_URLS, parse, read_options
from whyrec.llm.naming.keys import LANGCHAIN_URLS
from whyrec.llm.naming.urls import read_url
from whyrec.redaction import is_secret_name

_LANGCHAIN_WAYS = frozenset({"key", "timeout", "request_timeout", "default_request_timeout", "max_retries"})


def same_model(name: str) -> str:
    """What all names of one model have in common: itself a name that opens it where no key or login is needed.

    A name that cannot be read means itself.
    """
    scheme, colon, rest = name.partition(":")
    if scheme == "flaky":
        faults, inner = split_flaky(rest)
        return f"flaky:{faults}{same_model(inner)}" if inner else name
    try:
        if scheme in DEFAULT_URLS and colon:
            return parse(scheme, rest).same
        if scheme == "langchain":
            return f"langchain:{_langchain(rest)}"
    except (UsageError, UnknownNameError):
        return name
    if scheme == "transformers":
        return f"transformers:{_local(rest)}"
    return name


def split_flaky(rest: str) -> tuple[str, str]:
    """("json=0.2,seed=3:", "extractive") of what stands behind `flaky:`."""
    given, colon, inner = rest.partition(":")
    return (given + colon, inner) if "=" in given else ("", rest)


def _langchain(rest: str) -> str:
    string, _, query = rest.partition("?")
    told = []
    for option, text in sorted(read_options(query, "&").items()):
        if option in _LANGCHAIN_WAYS or is_secret_name(option):
            continue
        told.append(f"{option}={read_url(text, option).url if option in LANGCHAIN_URLS else _one_spelling(text)}")
    return string + ("?" if told else "") + "&".join(told)


def _local(rest: str) -> str:
    where, _, query = rest.partition("?")
    told = [f"{option}={text}" for option, text in sorted(read_options(query, "&").items()) if option != "batch"]
    return (where.rstrip("/") or where) + ("?" if told else "") + "&".join(told)


def _one_spelling(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
