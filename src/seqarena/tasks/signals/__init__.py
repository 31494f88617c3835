"""Tasks on recordings and pictures."""
