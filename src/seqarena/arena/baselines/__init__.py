"""Baselines of a comparison: computed once before it trains, and what is said of them after it."""
