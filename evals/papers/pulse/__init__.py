"""PULSE's tables and its figure 3."""
