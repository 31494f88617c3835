"""Recurrent cells whose gates see the input alone, so that a scan trains them."""
