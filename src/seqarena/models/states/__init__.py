"""States that a model carries: kept, taken back, forked, and put together as one batch."""
