"""Training: a budget, an optimizer, a loop that yields step records, checkpoints."""

from seqarena.core.doors import make_callable

make_callable(__name__)
