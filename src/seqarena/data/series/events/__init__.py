"""Histories of entities: events in time, with fields."""
