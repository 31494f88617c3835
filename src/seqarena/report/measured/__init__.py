"""Measurements on a page: curves, maps, diagrams and the timeline of the catalog."""
