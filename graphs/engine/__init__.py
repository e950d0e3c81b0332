"""What `graphs.run` is made of: how a run starts, is estimated, followed, stepped through and drawn."""
