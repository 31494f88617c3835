"""Tasks over numbers and events in time."""
