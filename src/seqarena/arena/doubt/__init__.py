"""What a comparison leaves open: how often it was looked at, what would settle it, whether it
trained for long enough."""

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
