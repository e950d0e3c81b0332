"""What several commands share: options, questions, bars, the live display of a run."""
