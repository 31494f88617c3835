"""CTC by PyTorch's kernel, which is the fastest on a CPU."""

from torch import Tensor
from torch.nn import functional as F

from seqarena.ops.ctc import BLANK, ctc


@ctc.algorithm("library", devices=(), serial_steps=lambda length: 2 * length)
def library(
    log_probs_BTV: Tensor, targets_BU: Tensor, lengths_B: Tensor, target_lengths_B: Tensor
) -> Tensor:
    """float32 or float64."""
    return F.ctc_loss(
        log_probs_BTV.transpose(0, 1),
        targets_BU,
        lengths_B,
        target_lengths_B,
        blank=BLANK,
        reduction="none",
    )
