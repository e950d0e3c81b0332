"""A model that knows a generated data set's truth, with a quality from 0 to 1."""
