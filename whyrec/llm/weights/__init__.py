"""Weights on this machine: fetching them when asked, turning GGUF into a folder, finding them, telling them apart."""
