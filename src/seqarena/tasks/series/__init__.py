"""Tasks over numbers that come one after another in time."""
