"""CTC by the forward-backward algorithm (Graves et al. 2006, section 4.1), in log space.

    alpha_t(s)  ln of all prefixes of paths that end in place s of the transcript at t    eq. 6, 7
    beta_t(s)   ln of all suffixes that go on from place s behind t                       eq. 9-11
    d(-ln p) / d ln p(v | t) = -sum over s with symbol v of exp(alpha_t(s) + beta_t(s) - ln p)

Places are blank, symbol, blank, symbol ... blank. From place s a path goes to s, to s + 1, and from
a symbol to the next symbol where the two differ. Here beta does not count position t itself.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from seqarena.ops.ctc import BLANK, ctc


@ctc.algorithm("forward_backward", devices=(), serial_steps=lambda length: 2 * length)
def forward_backward(
    log_probs_BTV: Tensor, targets_BU: Tensor, lengths_B: Tensor, target_lengths_B: Tensor
) -> Tensor:
    """T steps forward, T back, and no autograd graph over time."""
    return _Loss.apply(log_probs_BTV, targets_BU, lengths_B, target_lengths_B)  # pyright: ignore


class _Loss(Function):
    @staticmethod
    def forward(
        ctx: Any,
        log_probs_BTV: Tensor,
        targets_BU: Tensor,
        lengths_B: Tensor,
        target_lengths_B: Tensor,
    ) -> Tensor:
        places_BS = _places(targets_BU)
        emitted_TBS = log_probs_BTV.gather(
            2, places_BS[:, None].expand(-1, log_probs_BTV.shape[1], -1)
        ).transpose(0, 1)
        skips_BS = _skips(places_BS, log_probs_BTV.dtype)
        alpha_TBS = _prefixes(emitted_TBS, skips_BS)
        last_BS = alpha_TBS[lengths_B - 1, torch.arange(len(lengths_B), device=lengths_B.device)]
        log_p_B = (last_BS + _ends(target_lengths_B, last_BS)).logsumexp(1)
        ctx.save_for_backward(
            emitted_TBS, alpha_TBS, places_BS, skips_BS, log_p_B, lengths_B, target_lengths_B
        )
        ctx.vocabulary = log_probs_BTV.shape[2]
        return -log_p_B

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        emitted_TBS, alpha_TBS, places_BS, skips_BS, log_p_B, lengths_B, target_lengths_B = (
            ctx.saved_tensors
        )
        beta_TBS = _suffixes(emitted_TBS, skips_BS, lengths_B, target_lengths_B)
        share_TBS = (alpha_TBS + beta_TBS - log_p_B[:, None]).exp()  # of the paths through s at t
        T, B, _ = share_TBS.shape
        index_TBS = places_BS.expand(T, -1, -1)
        share_TBV = share_TBS.new_zeros(T, B, ctx.vocabulary).scatter_add(2, index_TBS, share_TBS)
        return -share_TBV.transpose(0, 1) * gradients[0][:, None, None], None, None, None


def _places(targets_BU: Tensor) -> Tensor:
    """Each transcript with blanks around its symbols: [B, S]."""
    blanks_BU = torch.full_like(targets_BU, BLANK)
    return F.pad(torch.stack((blanks_BU, targets_BU), 2).flatten(1), (0, 1), value=BLANK)


def _skips(places_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a path may come from two places before, else minus infinity: [B, S]."""
    before_BS = F.pad(places_BS, (2, 0), value=BLANK)[:, :-2]
    allowed_BS = (places_BS != BLANK) & (places_BS != before_BS)
    allowed_BS[:, :2] = False
    return torch.zeros_like(places_BS, dtype=dtype).masked_fill(~allowed_BS, -torch.inf)


def _ends(target_lengths_B: Tensor, like_BS: Tensor) -> Tensor:
    """0 at the two places where a path may end: the last symbol and the blank behind it."""
    place_S = torch.arange(like_BS.shape[1], device=like_BS.device)
    last_B1 = 2 * target_lengths_B[:, None]
    allowed_BS = (place_S == last_B1) | (place_S == last_B1 - 1)
    return torch.zeros_like(like_BS).masked_fill(~allowed_BS, -torch.inf)


def _prefixes(emitted_TBS: Tensor, skips_BS: Tensor) -> Tensor:
    """alpha: [T, B, S]."""
    first_BS = torch.full_like(emitted_TBS[0], -torch.inf)
    first_BS[:, :2] = emitted_TBS[0, :, :2]
    found = [first_BS]
    for emitted_BS in emitted_TBS[1:]:
        before_BS = found[-1]
        ways = (before_BS, _shifted(before_BS, 1), _shifted(before_BS, 2) + skips_BS)
        found.append(torch.stack(ways).logsumexp(0) + emitted_BS)
    return torch.stack(found)


def _suffixes(
    emitted_TBS: Tensor, skips_BS: Tensor, lengths_B: Tensor, target_lengths_B: Tensor
) -> Tensor:
    """beta: [T, B, S]; minus infinity behind a row's last position."""
    ends_BS = _ends(target_lengths_B, emitted_TBS[0])
    nothing_BS = torch.full_like(ends_BS, -torch.inf)
    behind_BS, found = nothing_BS, []
    for t in reversed(range(len(emitted_TBS))):
        if t + 1 < len(emitted_TBS):
            next_BS = behind_BS + emitted_TBS[t + 1]
            ways = (next_BS, _shifted(next_BS, -1), _shifted(next_BS + skips_BS, -2))
            behind_BS = torch.stack(ways).logsumexp(0)
        is_last_B1 = (lengths_B == t + 1)[:, None]
        behind_BS = torch.where(is_last_B1, ends_BS, behind_BS)
        found.append(behind_BS)
    return torch.stack(found[::-1])


def _shifted(x_BS: Tensor, places: int) -> Tensor:
    """Moved to the right by so many places (negative: to the left), minus infinity moves in."""
    if places > 0:
        return F.pad(x_BS, (places, 0), value=-torch.inf)[:, :-places]
    return F.pad(x_BS, (0, -places), value=-torch.inf)[:, -places:]
