"""Costs, measured as CPU time or as ratios in one run: `make bench`. Tests are not timed: machines are noisy."""
