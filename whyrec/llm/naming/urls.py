"""A server's address: read once, with a sentence for everything that is none, and in one spelling.

`HTTP://Host:80/v1/`, `http://host/v1` and `http://me:pw@host/v1` are one place; the login is a way to reach it.
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from whyrec.errors import UsageError
from whyrec.redaction import redact

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?")


class Place(NamedTuple):
    """Where a server is.

    Attributes:
        url: the base URL in its one spelling: no login, no default port, no slash at its end.
        host: its name, in small letters.
        origin: scheme, host and port: what a key is given to.
        login: (user, password) of the URL, decoded; None without.
    """

    url: str
    host: str
    origin: str
    login: tuple[str, str] | None = None

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return self.host in ("localhost", "127.0.0.1", "::1")


def read_url(url: str, of: str) -> Place:
    """Read a base URL.

    Args:
        url: as a person writes it.
        of: where it stands, for the sentence.

    Raises:
        UsageError: it is no URL of a server.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", _port(parts)
    except ValueError as error:
        raise _wrong(url, of, str(error)) from None
    if url != "".join(url.split()) or not url.isprintable():
        raise _wrong(url, of, "it has white space or control characters in it")
    if parts.scheme not in _PORTS or not host:
        raise _wrong(url, of, "it does not begin with http:// or https:// and a host")
    if parts.query or parts.fragment:
        raise _wrong(url, of, "a base URL has no '?' and no '#'")
    if ":" not in host:
        host = _ascii(host, url, of)
    shown = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{shown}" + (f":{port}" if port != _PORTS[parts.scheme] else "")
    login = None
    if parts.username is not None or parts.password is not None:
        login = unquote(parts.username or ""), unquote(parts.password or "")
    return Place(origin + parts.path.rstrip("/"), host, origin, login)


def basic(user: str, password: str) -> str:
    """A login as an Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _port(parts: SplitResult) -> int:
    text = parts.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("its port is not a number")
    port = parts.port
    if port == 0:
        raise ValueError("nobody listens on port 0")
    return _PORTS.get(parts.scheme, 0) if port is None else port


def _ascii(host: str, url: str, of: str) -> str:
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if not _HOST.fullmatch(name):
        raise _wrong(url, of, f"{host!r} is not the name of a host")
    return name


def _wrong(url: str, of: str, why: str) -> UsageError:
    return UsageError(
        f"{redact(url)!r} in {redact(of)!r} is not a URL such as http://127.0.0.1:8000/v1: {why.rstrip('.')}."
    )
