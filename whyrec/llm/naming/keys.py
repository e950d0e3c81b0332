"""Which key goes to which server: a key is sent to the host it belongs to and to no other.

`OPENAI_API_KEY` belongs to api.openai.com and to the server that OPENAI_BASE_URL names, a provider's key to the
provider's host, the key of a scheme (`VLLM_API_KEY`) to servers on this machine. Everywhere else a key goes only where
the model's name says so: `?key=VARIABLE`. What is not sent is told when the server asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from whyrec.errors import UsageError
from whyrec.llm.naming.urls import Place, read_url
from whyrec.redaction import KNOWN, is_secret_name, is_variable

# Hosts whose key has a customary name.
_OWN = {
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
_BASE_URL = "OPENAI_BASE_URL"
LANGCHAIN_URLS = ("base_url", "openai_api_base", "anthropic_api_url")  # options of LangChain that move a server


@dataclass(frozen=True, slots=True)
class Key:
    """What is shown to a server.

    Attributes:
        value: the key, "" for none.
        variable: where it comes from, "" where nothing names one.
        needed: whether the server is known to answer nobody without one.
        withheld: a variable that holds a key which is not this server's, so that it was not sent.
    """

    value: str = ""
    variable: str = ""
    needed: bool = False
    withheld: str = ""

    def advice(self, host: str) -> str:
        """What to do when the server refuses."""
        if self.value and self.variable:
            return f"check the API key in the environment variable {self.variable}"
        if self.withheld:
            return (
                f"no key was sent, because the one in {self.withheld} is not sent to {host}; say ?key={self.withheld} "
                f"in the model's name if you mean it"
            )
        if self.variable:
            return f"no key was sent, because the environment variable {self.variable} is not set"
        return "it wants an API key; name the environment variable that holds it with ?key=VARIABLE"


def key_for(place: Place, *, named: str, own: str, usual: str) -> Key:
    """The key for a server.

    Args:
        place: the server.
        named: the variable that the model's name gives (`?key=`), "" for none.
        own: the variable of the scheme's servers on this machine, "" for none.
        usual: the variable that a person will think of when this scheme's server asks for a key.

    Raises:
        UsageError: a variable holds what is no key.
    """
    if named:
        return Key(read_key(named), named, needed=True)
    if place.login is not None:
        return Key()
    if place.origin == f"https://{place.host}" and place.host in _OWN:
        return Key(read_key(_OWN[place.host]), _OWN[place.host], needed=True)
    if usual == "OPENAI_API_KEY" and place.origin == _base_origin():
        return Key(read_key(usual), usual, needed=not place.local)
    if own and place.local:
        return Key(read_key(own), own)
    return Key(withheld=usual if usual and os.environ.get(usual, "").strip() else "")


def langchain_key(provider: str, options: Mapping[str, str]) -> Key | None:
    """The key that LangChain is to send; None where it may read the provider's own variable.

    Args:
        provider: as LangChain names it ("openai").
        options: of the model's name.

    Raises:
        UsageError: `key` names no variable, or a URL is none.
    """
    of = f"langchain:{provider}"
    if "key" in options:
        variable = check_variable(options["key"], of)
        return Key(read_key(variable), variable, needed=True)
    url = next((options[name] for name in LANGCHAIN_URLS if name in options), "")
    if not url or any(is_secret_name(option) for option in options):
        return None
    place, usual = read_url(url, of), f"{provider.upper()}_API_KEY"
    if provider == "openai":
        found = key_for(place, named="", own="", usual=usual)
        return found if found.value else replace(found, value="none")  # LangChain opens no model without a key
    known = place.origin == f"https://{place.host}" and place.host in _OWN
    return None if place.local or known else Key("none", withheld=usual)


def read_key(variable: str) -> str:
    """The API key from the environment, "" where none is set. From then on it is known as a secret.

    Raises:
        UsageError: it is none.
    """
    key = os.environ.get(variable, "").strip() if variable else ""
    if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
        raise UsageError(f"The API key in the environment variable {variable} has characters that no key has.")
    KNOWN.learn(key, f"the value of {variable}")
    return key


def check_variable(text: str, of: str) -> str:
    """The name of a variable, as `?key=` gives it.

    Raises:
        UsageError: it is none. What stands there may be the key itself, so it is not shown.
    """
    if is_variable(text):
        return text
    KNOWN.learn(text, f"the key in {of}")
    raise UsageError(
        f"The option key= of {of} wants the name of an environment variable that holds the key. What stands there is "
        f"no such name; it is not shown, since it may be the key itself. Write: export MY_API_KEY=..., then "
        f"?key=MY_API_KEY (and take the key out of your shell's history)."
    )


def given_base_url() -> str:
    """What OPENAI_BASE_URL says, "" for nothing."""
    return os.environ.get(_BASE_URL, "").strip()


def _base_origin() -> str:
    """Where OPENAI_BASE_URL points; "" where it is not set."""
    given = given_base_url()
    return read_url(given, f"the variable {_BASE_URL}").origin if given else ""
