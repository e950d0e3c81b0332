"""Texts into vectors, and vectors on disk."""

from whyrec.embed.embedder import Embedder, Vectors, check_embedder, open_embedder, reopen_embedder, unit_rows

__all__ = ["Embedder", "Vectors", "check_embedder", "open_embedder", "reopen_embedder", "unit_rows"]
