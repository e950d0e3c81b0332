"""Commands that measure: eval, compare, dial, ablate."""
