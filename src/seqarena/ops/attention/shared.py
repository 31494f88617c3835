"""What the forms of attention share: the softmax written out, masks, and PyTorch's kernel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NEGATIVE_INFINITY = float("-inf")


def attention_weights(
    q_BHTE: Tensor, k_BGCE: Tensor, seen: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """The softmax itself, written out: a_BHTC. `seen` (True: may look) and `bias` broadcast."""
    score_BHTC = q_BHTE @ per_head(k_BGCE, q_BHTE).transpose(2, 3) / math.sqrt(q_BHTE.shape[-1])
    if bias is not None:
        score_BHTC = score_BHTC + bias
    if seen is not None:
        score_BHTC = score_BHTC.masked_fill(~seen, NEGATIVE_INFINITY)
    return score_BHTC.softmax(dim=-1)


def slot_distance(length: int, slots: int, starts_B: Tensor | None, device: torch.device) -> Tensor:
    """How far back slot c lies from query t: [T, C], or [B, 1, T, C] where rows differ."""
    step_T1 = torch.arange(length, device=device)[:, None]
    slot_C = torch.arange(slots, device=device)
    if starts_B is None:
        return step_T1 + (slots - length) - slot_C
    return starts_B[:, None, None, None] + step_T1 - slot_C


def seen_slots(distance: Tensor, causal: bool, lengths_B: Tensor | None) -> Tensor:
    """True where a query at that distance from a slot may look at it."""
    seen = distance >= 0 if causal else torch.ones_like(distance, dtype=torch.bool)
    if lengths_B is None:
        return seen
    slot_C = torch.arange(distance.shape[-1], device=distance.device)
    return seen & ((slot_C < lengths_B[:, None, None, None]) | (distance == 0))


def penalty(distance: Tensor, slopes_H: Tensor, dtype: torch.dtype) -> Tensor:
    """ALiBi's bias: [H, T, C], or [B, H, T, C]."""
    return (-slopes_H[:, None, None] * distance.abs()).to(dtype)


def real_slots(slot_C: Tensor, empty: int | Tensor) -> Tensor:
    """True at the slots that lie in the sequence: all but the first `empty` ones."""
    return slot_C >= (empty if isinstance(empty, int) else empty[:, None, None, None])


def per_head(x_BGCE: Tensor, q_BHTE: Tensor) -> Tensor:
    """Keys or values of grouped heads, repeated for the queries that share them."""
    shared = q_BHTE.shape[1] // x_BGCE.shape[1]
    return x_BGCE if shared == 1 else x_BGCE.repeat_interleave(shared, dim=1)


def single_query(q_BH1E: Tensor, k_BGCE: Tensor, v_BGCE: Tensor) -> Tensor:
    """One query that sees every slot; heads that share keys take the place of time."""
    B, H, _, E = q_BH1E.shape
    q_BGRE = q_BH1E.reshape(B, k_BGCE.shape[1], -1, E)
    return sdpa(q_BGRE, k_BGCE, v_BGCE, None).reshape(B, H, 1, v_BGCE.shape[-1])


def sdpa(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, mask: Tensor | None, causal: bool = False
) -> Tensor:
    """PyTorch's scaled_dot_product_attention, with heads that share keys and values."""
    if mask is not None and mask.dim() == 2:
        mask = mask[None, None]
    grouped = q_BHTE.shape[1] != k_BGCE.shape[1]
    return F.scaled_dot_product_attention(
        q_BHTE, k_BGCE, v_BGCE, attn_mask=mask, is_causal=causal, enable_gqa=grouped
    )
