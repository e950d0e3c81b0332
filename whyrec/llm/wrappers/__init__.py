"""A model around a model: retries, limits, a budget, the cache, the trace."""
