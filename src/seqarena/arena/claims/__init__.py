"""The ledger: every claim of the literature as an experiment with a criterion stated before it."""
