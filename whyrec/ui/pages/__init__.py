"""The pages: one module per kind of address, each a handler that reads what the command line reads."""
