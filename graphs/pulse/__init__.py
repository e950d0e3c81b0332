"""PULSE: rationales of what users did, reasons for what they may do next, and a space in which the two meet."""
