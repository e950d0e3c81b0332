"""whyrec's agents: a prompt and the type of its answer."""
