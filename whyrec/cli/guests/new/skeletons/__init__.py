"""What `whyrec new` writes, as code that is checked with the rest: names with `taste` in them are replaced."""
