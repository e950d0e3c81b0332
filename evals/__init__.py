"""whyrec's evaluation: was it worth it."""
