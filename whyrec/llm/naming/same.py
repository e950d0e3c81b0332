"""What names of models mean: two names are one model where nothing that can change an answer differs.

The way to a model is no part of it: how long to wait, which variable holds the key, a login, a slash at the URL's end,
how many rows are decoded together. Prices go by `same_model`, runs and the cache by `same_answers`; the name as given
opens it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.naming.address import DEFAULT_URLS, parse, read_options
from whyrec.llm.naming.keys import LANGCHAIN_URLS
from whyrec.llm.naming.urls import read_url
from whyrec.redaction import is_secret_name

LOCAL = ("transformers", "local", "tuned")  # schemes of weights that are opened in this process
_LOCAL_WAYS = frozenset({"batch"})  # options of theirs that change no answer
_IN_REVISION = frozenset({"template", "dtype", "grammar"})  # those that their revision tells by what is in them
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
    if scheme in LOCAL and colon:
        where, told = _local(rest)
        return f"{scheme}:{where}{_query(told)}"
    return name


def same_answers(name: str, revision: str) -> str:
    """What all models have in common that answer alike, to be taken together with their revision.

    Local weights are what is in them, which their revision says, wherever they lie and whatever name opens them; of all
    other models this is `same_model`.
    """
    scheme, _, rest = name.partition(":")
    if scheme == "flaky":
        faults, inner = split_flaky(rest)
        return f"flaky:{faults}{same_answers(inner, revision)}" if inner else name
    if scheme not in LOCAL or not revision:
        return same_model(name)
    _, told = _local(rest)
    return f"weights{_query({option: text for option, text in told.items() if option not in _IN_REVISION})}"


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


def _local(rest: str) -> tuple[str, dict[str, str]]:
    """(folder or name, options that can change an answer, in order)."""
    where, _, query = rest.partition("?")
    told = {option: text for option, text in sorted(read_options(query, "&").items()) if option not in _LOCAL_WAYS}
    if "chat_template_kwargs" in told:
        told["chat_template_kwargs"] = _one_spelling(told["chat_template_kwargs"])
    return where.rstrip("/") or where, told


def _query(told: Mapping[str, str]) -> str:
    return ("?" if told else "") + "&".join(f"{option}={text}" for option, text in told.items())


def _one_spelling(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
