"""Models of sequences, and what they are made of: tables, layers, losses, batches, presets."""
