"""Forecasts of who is better at a larger size, from a ladder of comparisons."""

from seqarena.core.doors import make_callable

make_callable(__name__)
