"""The papers' tables and figures: one function each, which returns an `Experiment`."""
