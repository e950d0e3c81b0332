"""whyrec: language models that reason about users and items, and recommenders that use the reasons."""

__version__ = "0.1.0"
