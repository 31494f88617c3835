"""Numbers over time: what is read, and series that are exactly generated."""
