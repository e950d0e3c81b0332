"""Servers of language models: how one is started, and what one really does."""
