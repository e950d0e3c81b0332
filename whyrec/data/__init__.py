"""Data sets: read, checked, in columns, and cut so that no target leaks.

One string names a data set in every command: `amazon14_beauty` (a folder in one of the data folders), a path,
`world:easy` (generated), each with options after a '?': `yelp_s3rec?dedup&kcore=5`.
"""

from whyrec.data.corpus import NO_TIME, PAD, Corpus
from whyrec.data.lookup import load, locate, names
from whyrec.data.readers.table import read_table
from whyrec.data.split import SplitView

__all__ = ["NO_TIME", "PAD", "Corpus", "SplitView", "load", "locate", "names", "read_table"]
