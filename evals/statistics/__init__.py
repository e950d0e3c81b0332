"""From outcomes by example to means, intervals, tests and verdicts."""
