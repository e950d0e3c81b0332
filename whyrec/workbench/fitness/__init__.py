"""Whether a model is up to it, before anybody pays: known questions for every form of answer (`whyrec llm check`)."""
