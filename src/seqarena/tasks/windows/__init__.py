"""A label or a number for a window of numbers."""
