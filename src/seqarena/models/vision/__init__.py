"""Systems that read pictures."""
