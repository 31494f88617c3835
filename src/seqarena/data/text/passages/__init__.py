"""Passages with questions whose answers are parts of them."""
