"""whyrec's prompts: what we say. Text files with front matter, rendered in a sandbox."""
