"""Models: blocks stacked into language models and encoders; the catalog is the only registry."""
