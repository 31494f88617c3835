"""What `compare` and `train` do before they train: a question about overlap, and the baselines."""
