"""whyrec's recommenders: what learns. The only floor that imports torch at module level."""
