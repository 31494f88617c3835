"""seqarena: which sequence architecture to use, settled by measurement."""

__version__ = "0.1.0"
