"""Data sets: read, checked, in columns, and cut so that no target leaks; and questions, their answers kept apart.

One string names a data set in every command: `amazon14_beauty` (a folder in one of the data folders), a path,
`world:easy` or `facts` (generated), or a name that was given (address/named.py), each with options after a '?':
`yelp_s3rec?dedup&kcore=5`.
"""

from whyrec.data.corpus import NO_TIME, PAD, Corpus
from whyrec.data.lookup import Opened, add, forget, load, locate, names, open_again, open_data
from whyrec.data.questions import Questions
from whyrec.data.readers.table import read_table
from whyrec.data.split import SplitView

__all__ = [
    "NO_TIME",
    "PAD",
    "Corpus",
    "Opened",
    "Questions",
    "SplitView",
    "add",
    "forget",
    "load",
    "locate",
    "names",
    "open_again",
    "open_data",
    "read_table",
]
