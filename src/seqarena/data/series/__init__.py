"""Numbers over time: tables of measurements as series on a regular grid, or row by row."""
