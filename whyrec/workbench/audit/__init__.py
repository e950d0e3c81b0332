"""Whether a run saw what it may not: every call, result and artefact held against declared rules."""
