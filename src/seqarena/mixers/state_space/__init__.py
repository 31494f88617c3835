"""State spaces: diagonal linear recurrences with many states a channel."""
