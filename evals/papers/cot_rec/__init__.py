"""CoT-Rec's tables."""
