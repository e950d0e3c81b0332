"""A hub of models on loopback: one repository, its files in pieces where wanted, and what was asked of it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40


class ModelHub:
    """Serves `files` as the repository `org/tiny`.

    Attributes:
        files: name -> content.
        licence: as its card states it.
        cut: a file whose next transfer ends after so many bytes, by name.
        spoilt: files that come with other bytes than listed.
        asked: (method, path, Range) of every request.
    """

    def __init__(self, files: dict[str, bytes], licence: str = "mit") -> None:
        self.files, self.licence = files, licence
        self.cut: dict[str, int] = {}
        self.spoilt: set[str] = set()
        self.asked: list[tuple[str, str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def listing(self) -> dict[str, Any]:
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": hashlib.sha1(content).hexdigest(),
                "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134},
            }
            for name, content in self.files.items()
        ]
        card = {"license": self.licence} if self.licence else {}
        return {
            "id": "org/tiny",
            "modelId": "org/tiny",
            "sha": COMMIT,
            "tags": [],
            "cardData": card,
            "siblings": siblings,
        }

    def tree(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "file",
                "path": name,
                "size": len(content),
                "oid": hashlib.sha1(content).hexdigest(),
                "lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134},
            }
            for name, content in self.files.items()
        ]


class _Handler(BaseHTTPRequestHandler):
    hub: ModelHub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if path.startswith("/api/models/org/tiny/tree/"):
            self.send(200, json.dumps(self.hub.tree()).encode(), {"Content-Type": "application/json"}, body=body)
        elif path.startswith("/api/models/org/tiny"):
            self.send(200, json.dumps(self.hub.listing()).encode(), {"Content-Type": "application/json"}, body=body)
        elif (found := re.fullmatch(rf"/org/tiny/resolve/{COMMIT}/(.+)", path)) and found[1] in self.hub.files:
            self.file(found[1], body=body)
        else:
            self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)

    def file(self, name: str, *, body: bool) -> None:
        content = self.hub.files[name]
        told = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        if name in self.hub.spoilt:
            content = bytes(len(content))
        start = int(found[1]) if (found := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        if start:
            told["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        most = self.hub.cut.pop(name, None) if body else None
        self.send(206 if start else 200, content[start:], told, body=body, most=most)

    def send(self, status: int, content: bytes, told: dict[str, str], *, body: bool, most: int | None = None) -> None:
        self.send_response(status)
        for header, value in {"Content-Length": str(len(content)), **told}.items():
            self.send_header(header, value)
        self.end_headers()
        if body:
            self.wfile.write(content[:most])
        if most is not None:
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass
