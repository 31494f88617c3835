"""Recurrent cells whose gates see only the input, so that a scan trains them."""
