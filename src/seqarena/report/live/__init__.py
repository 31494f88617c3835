"""The section in which a trained model runs."""
