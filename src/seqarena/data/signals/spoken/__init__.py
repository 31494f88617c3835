"""Recordings of several words: read, joined from single words, or dialled."""
