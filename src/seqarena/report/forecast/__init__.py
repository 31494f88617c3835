"""The page of a forecast: who is better at a size that was not tried."""
