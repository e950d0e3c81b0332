"""CoT-Rec's reasoning: what an item is, what a user likes, and what that user would say about an item (spec 2.a)."""
