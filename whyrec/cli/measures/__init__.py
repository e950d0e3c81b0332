"""Commands that measure: eval, compare, dial, mechanism."""
