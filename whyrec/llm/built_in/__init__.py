"""Models without a server: the embedded default, the simulated one, and doubles for tests."""
