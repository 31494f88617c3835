"""The version of the package: what the build reads and what every record holds."""

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
__version__ = "0.1.0"
