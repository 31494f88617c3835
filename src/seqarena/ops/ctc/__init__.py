"""Connectionist temporal classification (Graves et al. 2006): a transcript without its alignment.

    B(path)  a path names one symbol a position: repeats become one, then blanks go     section 3.1
    p(l | x) = sum over the paths with B(path) = l of prod_t p(path_t | x, t)            equation 3
    loss     = -ln p(l | x)

The blank is symbol 0. "a a" needs a blank between its two, so that a transcript of U symbols with R
repeats of a neighbour takes U + R positions; where there are fewer, its probability is zero: the
loss is infinite and its gradient zero. The transcript without symbols has one path, all blanks.

    enumerate         every path by itself: the slow truth, for a handful of positions
    forward_backward  sums over prefixes and suffixes in log space (section 4.1)
    library           torch's own

Letters: B examples, T positions, V symbols and the blank, U longest transcript, S = 2 U + 1: a
transcript with a blank before, between and behind its symbols.
"""

import torch
from torch import Tensor

from seqarena.core.shapes import at_least_float32, lengths_to_mask
from seqarena.ops.registry import operation, register_files

BLANK = 0


@operation("ctc")
def ctc(
    logits_BTV: Tensor,
    targets_BU: Tensor,
    lengths_B: Tensor,
    target_lengths_B: Tensor,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """-ln p of each transcript in nats, [B], in at least float32 (also under autocast).

    Row b has `lengths_B[b]` real positions, at least one, and `target_lengths_B[b]` symbols, which
    come first; what is behind them is ignored. Symbols are 1 to V - 1. Where the transcript does
    not fit into its positions the loss is infinite and has no gradient (see `positions_needed`).
    Gradients of first order. Raises UserError for an unknown algorithm.
    """
    form = ctc.form(algorithm, logits_BTV)
    real_BU = lengths_to_mask(target_lengths_B, targets_BU.shape[1])
    targets_BU = targets_BU.where(real_BU, BLANK)
    fits_B = positions_needed(targets_BU) <= lengths_B
    device_type = logits_BTV.device.type
    with torch.autocast(device_type, enabled=False):
        log_probs_BTV = at_least_float32(logits_BTV).log_softmax(-1)
        # a transcript that does not fit becomes one that does, which counts for nothing
        safe_B = target_lengths_B.where(fits_B, 0)
        loss_B = form(log_probs_BTV, targets_BU, lengths_B, safe_B)
        return torch.where(fits_B, loss_B, torch.inf)


def positions_needed(targets_BU: Tensor) -> Tensor:
    """How many positions each transcript takes at least, [B]: its symbols, and a blank between two
    that are alike. Padding is BLANK."""
    symbols_B = (targets_BU != BLANK).sum(1)
    alike_BU = (targets_BU[:, 1:] == targets_BU[:, :-1]) & (targets_BU[:, 1:] != BLANK)
    return symbols_B + alike_BU.sum(1)


register_files(__name__, __path__)
