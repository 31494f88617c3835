"""The next event of a history and its time, or a label of the whole."""
