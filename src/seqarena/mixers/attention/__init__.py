"""Softmax attention over all, a window of, or a part of the past."""
