"""Weights to and from the layouts of other libraries."""
