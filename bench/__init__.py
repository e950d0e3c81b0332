"""Costs, measured as CPU time or as ratios in one run: `make bench`. Machines are shared and noisy, tests are not timed."""
