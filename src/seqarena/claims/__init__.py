"""The ledger: every claim of the literature as an experiment with a criterion stated before it."""

from seqarena.core.doors import make_callable

make_callable(__name__)
