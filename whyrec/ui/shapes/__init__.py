"""Results as what they are: a payload becomes blocks (a text, chips, a ranking, a tree, steps, samples, a table).

A block is chosen by the shape of the values, so the result of a workflow that nobody has heard of is shown as well as
our own; names only settle what a shape leaves open. Nothing here makes markup.
"""

from whyrec.ui.shapes.blocks import Around, Block, Part
from whyrec.ui.shapes.headline import headline
from whyrec.ui.shapes.reading import blocks

__all__ = ["Around", "Block", "Part", "blocks", "headline"]
