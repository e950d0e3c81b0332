"""Recommenders from co-occurrence alone, and the baselines every table shows."""
