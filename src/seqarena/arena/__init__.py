"""The arena: plan the trials, run them, rank them with honest statistics, say which to use."""
