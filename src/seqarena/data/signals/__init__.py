"""Signals: recordings and pictures."""
