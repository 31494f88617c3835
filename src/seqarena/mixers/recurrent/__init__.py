"""Recurrent cells whose gates see the state: one step after another."""
