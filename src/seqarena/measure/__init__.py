"""Measuring: what an architecture costs in time and memory, and the orders that it should."""

from seqarena.core.doors import make_callable

make_callable(__name__)
