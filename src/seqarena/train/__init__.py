"""Training: a budget, an optimizer, a loop that yields step records, checkpoints."""
