"""Data sets that are made here, whose truth is known: `world` and `facts`."""
