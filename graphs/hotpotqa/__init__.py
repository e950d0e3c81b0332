"""HotpotQA: questions answered straight away, reasoned, or searched for step by step (PULSE 5.7)."""
