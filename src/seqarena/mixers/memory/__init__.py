"""Recurrent networks with a memory outside of their state: stacks."""

from seqarena.core.architecture import Architecture

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS: tuple[Architecture, ...] = ()
