"""Texts into vectors, and vectors on disk."""

from whyrec.embed.embedder import Embedder, Vectors, unit_rows
from whyrec.embed.opening import check_embedder, embedder_identity, open_embedder, reopen_embedder

__all__ = [
    "Embedder",
    "Vectors",
    "check_embedder",
    "embedder_identity",
    "open_embedder",
    "reopen_embedder",
    "unit_rows",
]
