"""Pieces that several papers' graphs use."""
