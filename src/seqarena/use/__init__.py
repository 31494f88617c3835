"""Use: generate from the winner, evaluate it on other data."""
