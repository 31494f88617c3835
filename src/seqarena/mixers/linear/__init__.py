"""Attention without the softmax: a recurrence over a matrix."""
