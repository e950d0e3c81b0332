"""What really works: every ability is asked for, and the answer is looked at, not the status code."""
