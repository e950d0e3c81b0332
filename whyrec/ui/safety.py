"""Who may ask: the only door between a browser and the pages.

A page on 127.0.0.1 can be reached by every site the browser has open, so three things are checked before anything is
read. The Host header must be a name of ours, else a foreign name that was made to point here (DNS rebinding) could
read along. A request that acts must come from our own page (Origin) and carry the token that only our pages hold.
Where others can reach the port, whoever comes must first have shown the token of the address `whyrec ui` printed.
Answers forbid scripts and frames that are not ours, so text that slips through is still no program.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import secrets
import socket
from dataclasses import dataclass, field
from functools import cached_property

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9][a-z0-9._-]{0,252}))(?::(?P<port>[0-9]{1,5}))?")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST_BYTES = 4_000_000  # of a form
_BODY_S = 20.0  # for all of a form to arrive
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@dataclass(frozen=True)
class Door:
    """What is asked of whoever comes.

    Attributes:
        host: the address the server listens on.
        port: its port.
        acting: the token of every form.
        entry: the token of the printed address; "" where only this machine can come.
    """

    host: str = "127.0.0.1"
    port: int = 8700
    acting: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    entry: str = ""

    @classmethod
    def at(cls, host: str, port: int) -> Door:
        """A door for this address, with an entry token where others can reach it."""
        return cls(host, port, entry="" if is_loopback(host) else secrets.token_urlsafe(24))

    @property
    def address(self) -> str:
        """What to open in the browser."""
        shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(self.host, self.host)
        shown = f"[{shown}]" if ":" in shown else shown
        return f"http://{shown}:{self.port}/" + (f"?token={self.entry}" if self.entry else "")

    @property
    def cookie(self) -> str:
        """Its name has the port in it, since cookies do not tell ports apart."""
        return f"whyrec_{self.port}"

    @cached_property
    def names(self) -> frozenset[str]:
        """What this machine is called, asked once: a name server may take its time."""
        return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})

    def knows(self, host: str) -> bool:
        """Whether a Host header is a name of ours; its port may be a forwarded one."""
        found = _HOST.fullmatch(host.lower())
        if found is None or int(found["port"] or 1) not in range(1, 65_536):
            return False
        name = found["name"] or _plain(found["six"])
        if name in _LOOPBACK or name == _plain(self.host):
            return True
        return not is_loopback(self.host) and (_is_address(name) or name in self.names)

    def acts(self, token: str) -> bool:
        """Whether this is the token of our forms."""
        return hmac.compare_digest(token.encode(), self.acting.encode())

    def enters(self, token: str) -> bool:
        """Whether this is the token of the printed address."""
        return bool(self.entry) and hmac.compare_digest(token.encode(), self.entry.encode())


class Guard:
    """An application behind a door.

    Args:
        app: the application.
        door: what is asked.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and put our headers on the answer."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refusal(Request(scope))
        await (refused or self.app)(scope, _bounded(receive), sending)

    def _refusal(self, request: Request) -> Response | None:
        door, headers = self.door, request.headers
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not door.knows(hosts[0]):
            return _no(421, f"This page answers to {door.host}:{door.port} only, not to the Host you asked for.")
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return _no(403, "Another site asked for this; it is not told.")
        if request.method not in ("GET", "HEAD") and (said := _foreign(headers)):
            return _no(403, said)
        return self._entry(request) if door.entry else None

    def _entry(self, request: Request) -> Response | None:
        """None for whoever has shown the token."""
        door = self.door
        if door.enters(request.cookies.get(door.cookie, "")):
            return None
        if request.method == "GET" and door.enters(request.query_params.get("token", "")):
            clean = RedirectResponse(str(request.url.remove_query_params("token").replace(scheme="", netloc="")), 303)
            clean.set_cookie(door.cookie, door.entry, httponly=True, samesite="strict")
            return clean
        return _no(401, "Open the address with ?token=… that `whyrec ui` printed; then this browser is let in.")


def _bounded(receive: Receive) -> Receive:
    """A body that comes in time and is not too long, whatever its length was said to be."""
    loop = asyncio.get_running_loop()
    until, size = loop.time() + _BODY_S, 0

    async def receiving() -> Message:
        nonlocal size
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"The form did not arrive within {_BODY_S:.0f} seconds.") from None
        size += len(message.get("body", b""))
        if size > _MOST_BYTES:
            raise HTTPException(413, f"A form of at most {_MOST_BYTES:,} bytes can be read.")
        return message

    return receiving


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _foreign(headers: Headers) -> str:
    """Why a request that acts is not ours; "" where it may be."""
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in _origins(headers):
        return "Another site asked for this; nothing was done."
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "Another site asked for this; nothing was done."
    length = headers.get("content-length", "")
    if not re.fullmatch("[0-9]{1,12}", length) or int(length) > _MOST_BYTES:
        return f"A form of at most {_MOST_BYTES:,} bytes, with its length, can be read."
    return ""


def _origins(headers: Headers) -> tuple[str, str]:
    host = headers.get("host", "").lower()
    return f"http://{host}", f"https://{host}"  # the second where a proxy in front speaks TLS


def _plain(host: str) -> str:
    """An address in its one spelling; a name in small letters."""
    return str(ipaddress.ip_address(host)) if _is_address(host) else host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _no(status: int, said: str) -> Response:
    return PlainTextResponse(f"whyrec: {said}\n", status)
