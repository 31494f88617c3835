"""The ledger: every claim, in the order in which it is printed. Importing it loads no torch."""

from seqarena.claims.book import (
    attention,
    cost,
    dependency,
    gradients,
    linear_time,
    memory,
    recall,
    recurrence,
    scaling,
    state_tracking,
    systems,
)
from seqarena.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    *recurrence.CLAIMS,
    *dependency.CLAIMS,
    *gradients.CLAIMS,
    *memory.CLAIMS,
    *recall.CLAIMS,
    *attention.CLAIMS,
    *cost.CLAIMS,
    *linear_time.CLAIMS,
    *state_tracking.CLAIMS,
    *systems.CLAIMS,
    *scaling.CLAIMS,
)
