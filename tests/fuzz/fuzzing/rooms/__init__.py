"""One module per family of places where something from outside comes in; each ends with its TARGETS."""
