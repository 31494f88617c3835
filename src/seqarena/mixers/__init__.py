"""Sequence mixers, one file each: they mix along time, see `x_BTD` and nothing else.

A family's `__init__` holds the catalog's rows of its stacks; no torch is imported for them.
"""

from seqarena.core.architecture import Architecture
from seqarena.mixers import (
    attention,
    composed,
    convolution,
    delta,
    linear,
    memory,
    minimal,
    recurrent,
    state_space,
)

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)
ROWS: tuple[Architecture, ...] = (
    *convolution.ROWS,
    *recurrent.ROWS,
    *memory.ROWS,
    *minimal.ROWS,
    *attention.ROWS,
    *linear.ROWS,
    *delta.ROWS,
    *state_space.ROWS,
    *composed.ROWS,
)
