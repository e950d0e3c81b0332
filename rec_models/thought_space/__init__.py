"""PULSE's thought space: the model, and how it is learnt."""
