"""Public data sets: where they are, under which terms, and how a file is fetched."""
