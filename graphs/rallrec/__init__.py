"""RALLRec+ (Luo et al., 2025): retrieval from the user's own history, and clicks predicted by reasoning."""
