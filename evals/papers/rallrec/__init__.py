"""RALLRec+'s tables and figures."""
