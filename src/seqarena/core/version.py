"""The version of the package: what the build reads and what every record holds."""

__version__ = "0.1.0"
