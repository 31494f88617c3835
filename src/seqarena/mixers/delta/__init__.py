"""Linear attention that erases before it writes: the delta rule and what grew out of it."""

from seqarena.core.architecture import Architecture

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS: tuple[Architecture, ...] = ()
