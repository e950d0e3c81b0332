"""Servers of one's own, started so that whyrec's questions are answered as they are meant."""
