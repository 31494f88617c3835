"""Systems that predict words or samples of a text or a signal."""
