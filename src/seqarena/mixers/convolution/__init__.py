"""Layers that see a fixed window of the past."""
