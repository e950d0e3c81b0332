"""Vectors on disk: the one door to Chroma.

A collection holds the vectors of one kind of text (items, users, preferences) of one data set by one embedder, and is
named after the three. Ids are the data set's own ids, so writing twice is writing once; each row keeps the digest of
its text, so only changed texts are embedded again. Chroma's index is approximate: it serves search and demos, while
every number in a table comes from exact search (spec 7.9). Embedded Chroma allows one process per path (a second one
reads stale vectors), hence the lock; several processes share a `chroma run` server by its URL.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
from filelock import FileLock, Timeout

from whyrec.embed.embedder import Embedder, Vectors
from whyrec.errors import LockedError, UnknownNameError, UsageError

EF_SEARCH = 100
_BATCH = 2048


@dataclass(frozen=True, slots=True)
class Hit:
    """A neighbour: its id, its text, and the cosine similarity (1 = same direction)."""

    id: str
    text: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as `VectorStore.listed` shows it; `about` says in words what it holds."""

    name: str
    rows: int
    embedder: str
    about: str


def collection_name(kind: str, data: str, embedder: str) -> str:
    """A valid Chroma name that says what is inside; unusual characters become dashes, with a digest when it matters."""
    plain = f"{kind}.{data}.{embedder}"
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")
    if safe != plain or len(safe) > 200:
        safe = f"{safe[:180]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"
    return safe


class VectorStore:
    """Chroma in a folder or at a server.

    Args:
        place: a folder (made if missing) or `http://host:port` of `chroma run`.

    Raises:
        LockedError: another process has the folder open.
        UsageError: the folder is a file, or the server does not answer.
    """

    def __init__(self, place: Path | str) -> None:
        os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
        import chromadb
        from chromadb.config import Settings

        quiet = Settings(anonymized_telemetry=False)
        self.place = str(place)
        self._lock: FileLock | None = None
        self._closed = False
        if self.place.startswith(("http://", "https://")):
            url = urlparse(self.place)
            port = url.port or (443 if url.scheme == "https" else 8000)
            try:
                self._client: Any = chromadb.HttpClient(
                    host=url.hostname or "", port=port, ssl=url.scheme == "https", settings=quiet
                )
            except Exception as error:  # chromadb wraps every transport's own errors in ValueError and friends
                raise UsageError(
                    f"No Chroma server answers at {self.place} ({type(error).__name__}). Start one with "
                    f"`chroma run --path FOLDER --port {port}`, or give a folder."
                ) from None
            return
        folder = Path(place)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file, but vectors need a folder. Give another path or move the file.")
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "whyrec.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise LockedError(
                f"Another process has the vectors in {folder} open. Wait for it, or let several processes share a "
                f"server: `chroma run --path {folder}` and the URL in place of the folder."
            ) from None
        self._client = chromadb.PersistentClient(path=str(folder), settings=quiet)

    def put(self, name: str, *, ids: Sequence[str], texts: Sequence[str], embedder: Embedder, about: str = "") -> int:
        """Make the collection hold these texts; returns how many had to be embedded.

        Rows whose text did not change are left alone; ids not given stay. `about` says in words what they are.
        """
        assert len(ids) == len(texts)
        collection = self._client.get_or_create_collection(
            name,
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "ef_search": EF_SEARCH}},
            metadata={"embedder": embedder.name, "width": embedder.width, "about": about},
        )
        embedded, step = 0, min(_BATCH, self._client.get_max_batch_size())
        for start in range(0, len(ids), step):
            some_ids, some = list(ids[start : start + step]), list(texts[start : start + step])
            digests = [hashlib.blake2b(t.encode(), digest_size=8).hexdigest() for t in some]
            kept = collection.get(ids=some_ids, include=["metadatas"])
            have = {i: m["digest"] for i, m in zip(kept["ids"], kept["metadatas"], strict=True)}
            todo = [r for r, i in enumerate(some_ids) if have.get(i) != digests[r]]
            if todo:
                collection.upsert(
                    ids=[some_ids[r] for r in todo],
                    embeddings=embedder.embed([some[r] for r in todo]),
                    documents=[some[r] for r in todo],
                    metadatas=[{"digest": digests[r]} for r in todo],
                )
                embedded += len(todo)
        return embedded

    def search(self, name: str, text: str, *, embedder: Embedder, k: int = 10) -> list[Hit]:
        """The k nearest texts of a collection, nearest first.

        Raises:
            UnknownNameError: no such collection.
            UsageError: no word of the text is known to the embedder.
        """
        if name not in self.collections():
            raise UnknownNameError("collection", name, self.collections())
        vector = embedder.embed([text])
        if not vector.any():
            raise UsageError(
                f"No word of {text!r} occurs in the catalogue, so nothing can be near it. Try other words."
            )
        collection = self._client.get_collection(name, embedding_function=None)
        found = collection.query(query_embeddings=vector, n_results=k, include=["documents", "distances"])
        rows = zip(found["ids"][0], found["documents"][0], found["distances"][0], strict=True)
        return [Hit(i, d or "", 1.0 - float(distance)) for i, d, distance in rows]

    def vectors(self, name: str, *, most: int) -> tuple[list[str], list[str], Vectors]:
        """(ids, texts, float32[rows, width]) of at most so many rows of a collection.

        Raises:
            UnknownNameError: no such collection.
        """
        if name not in self.collections():
            raise UnknownNameError("collection", name, self.collections())
        collection = self._client.get_collection(name, embedding_function=None)
        found = collection.get(limit=most, include=["documents", "embeddings"])
        return list(found["ids"]), [d or "" for d in found["documents"]], np.asarray(found["embeddings"], np.float32)

    def count(self, name: str) -> int:
        """Rows of a collection."""
        return int(self._client.get_collection(name, embedding_function=None).count())

    def collections(self) -> list[str]:
        """Names of all collections."""
        return sorted(c.name for c in self._client.list_collections())

    def listed(self) -> list[Collection]:
        """All collections, by name."""
        found = []
        for one in self._client.list_collections():
            kept = one.metadata or {}
            found.append(Collection(one.name, int(one.count()), kept.get("embedder", ""), kept.get("about", "")))
        return sorted(found, key=lambda one: one.name)

    def close(self) -> None:
        """Let another process in. Idempotent."""
        if self._closed:
            return
        self._closed = True
        servers = [self._client._server, self._client._admin_client._server]
        self._client.close()
        for session in (getattr(server, "_session", None) for server in servers):
            if session is not None:  # Chroma 1.5 leaves its HTTP sessions open
                session.close()
        if self._lock is not None:
            self._lock.release()
