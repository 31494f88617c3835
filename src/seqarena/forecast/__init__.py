"""Forecasts of who is better at a larger size, from a ladder of comparisons."""
