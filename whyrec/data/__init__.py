"""Data sets: read, checked, in columns, and cut so that no target leaks."""

from whyrec.data.corpus import NO_TIME, PAD, Corpus
from whyrec.data.split import SplitView

__all__ = ["NO_TIME", "PAD", "Corpus", "SplitView"]
