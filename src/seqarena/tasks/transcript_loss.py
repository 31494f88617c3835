"""What training minimises where the answer is a transcript (core/batch.py): CTC over its symbols.

B  examples    T  positions    U  symbols    V  symbols of the vocabulary and the blank
"""

from collections.abc import Callable

import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch, Problem
from seqarena.core.errors import UserError
from seqarena.ops.ctc import ctc
from seqarena.tasks.base import mean_loss


def transcript_loss(outputs_BTV: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """-ln p of the transcripts, in nats for each symbol of the batch: a scalar. A transcript that
    does not fit into its positions counts for nothing. Raises UserError for label smoothing."""
    if label_smoothing:
        raise UserError("a transcript has no class at each position: leave label smoothing at 0")
    targets_BU = batch.targets_BT.to(outputs_BTV.device)
    symbols_B = (targets_BU != IGNORE).sum(1)
    lengths_B = (
        torch.full_like(symbols_B, outputs_BTV.shape[1])
        if batch.mask_BT is None
        else batch.mask_BT.to(outputs_BTV.device).sum(1)
    )
    loss_B = ctc(outputs_BTV, targets_BU, lengths_B, symbols_B)
    fits_B = torch.isfinite(loss_B)
    return loss_B.masked_fill(~fits_B, 0.0).sum() / symbols_B.sum().clamp(min=1)


def criterion_of(problem: Problem) -> Callable[..., Tensor]:
    """The loss of a problem's answers, as tasks have it: outputs, batch and label smoothing -> a
    scalar."""
    return transcript_loss if problem.form == "transcript" else mean_loss
