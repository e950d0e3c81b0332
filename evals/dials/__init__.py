"""From a model that knows nothing to one that knows all: `whyrec dial`."""
