"""Measuring: what an architecture costs in time and memory, and the orders that it should."""
