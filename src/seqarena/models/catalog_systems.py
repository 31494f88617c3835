"""The catalog's whole systems: each wired as its paper wires it, in a file of its own. No torch."""

from seqarena.models.architecture import Architecture

SYSTEMS: tuple[Architecture, ...] = ()
