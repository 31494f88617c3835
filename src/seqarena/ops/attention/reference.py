"""The whole T x C matrix of scores, masked: the slow truth of each pattern."""

import torch
from torch import Tensor

from seqarena.ops.attention import (
    attention,
    block_attention,
    strided_attention,
    window_attention,
)
from seqarena.ops.attention.blocks import BlockPattern
from seqarena.ops.attention.shared import (
    FirstSlots,
    attention_weights,
    joint_attention,
    masked_part,
    penalty,
    per_head,
    real_slots,
    seen_slots,
    slot_distance,
)

SERIAL_STEPS = 3  # score, softmax, average


@attention.truth("explicit", serial_steps=lambda length: SERIAL_STEPS)
def explicit(
    q_BHTE: Tensor,
    k_BGCE: Tensor,
    v_BGCE: Tensor,
    *,
    causal: bool,
    starts_B: Tensor | None,
    lengths_B: Tensor | None,
    slopes_H: Tensor | None,
    bias_BHC: Tensor | None,
) -> Tensor:
    """y_BHTE."""
    distance = slot_distance(q_BHTE.shape[2], k_BGCE.shape[2], starts_B, q_BHTE.device)
    seen = seen_slots(distance, causal, lengths_B)
    bias = None if slopes_H is None else penalty(distance, slopes_H, q_BHTE.dtype)
    if bias_BHC is not None:
        bias = bias_BHC[:, :, None] if bias is None else bias + bias_BHC[:, :, None]
    weights_BHTC = attention_weights(q_BHTE, k_BGCE, seen, bias).to(q_BHTE.dtype)
    return weights_BHTC @ per_head(v_BGCE, q_BHTE)


@window_attention.truth("explicit", serial_steps=lambda length: SERIAL_STEPS)
def explicit_window(
    q_BTHE: Tensor,
    k_BCGE: Tensor,
    v_BCGE: Tensor,
    window: int,
    empty: int | Tensor,
    first: FirstSlots | None,
    sinks_H: Tensor | None,
) -> Tensor:
    """y_BTHE."""
    q_BHTE, k_BGCE, v_BGCE = (x.transpose(1, 2) for x in (q_BTHE, k_BCGE, v_BCGE))
    seen = seen_in_window(q_BHTE.shape[2], k_BGCE.shape[2], window, empty, q_BHTE.device)
    parts = [masked_part(q_BHTE, k_BGCE, v_BGCE, seen)]
    if first is not None:
        q_first, k_BGSE, v_BGSE = (x.transpose(1, 2) for x in first[:3])
        seen = first.seen(q_BHTE.shape[2], window)
        parts.append(masked_part(q_first, k_BGSE, v_BGSE, seen))
    return joint_attention(parts, sinks_H).transpose(1, 2)


def seen_in_window(
    length: int, slots: int, window: int, empty: int | Tensor, device: torch.device
) -> Tensor:
    """True where a query may look: [T, C], or [B, 1, T, C] where rows differ."""
    distance_TC = slot_distance(length, slots, None, device)
    seen = (distance_TC >= 0) & (distance_TC < window)
    return seen & real_slots(torch.arange(slots, device=device), empty)


@strided_attention.truth("explicit", serial_steps=lambda length: SERIAL_STEPS)
def explicit_stride(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, stride: int, starts_B: Tensor | None
) -> Tensor:
    """y_BHTE."""
    distance = slot_distance(q_BHTE.shape[2], k_BGCE.shape[2], starts_B, q_BHTE.device)
    seen = (distance >= 0) & ((distance < stride) | (distance % stride == 0))
    return attention_weights(q_BHTE, k_BGCE, seen) @ per_head(v_BGCE, q_BHTE)


@block_attention.truth("explicit", serial_steps=lambda length: SERIAL_STEPS)
def explicit_blocks(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, pattern: BlockPattern, starts_B: Tensor | None
) -> Tensor:
    """y_BHTE."""
    T, C = q_BHTE.shape[2], k_BGCE.shape[2]
    distance = slot_distance(T, C, starts_B, q_BHTE.device)
    slot_C = torch.arange(C, device=q_BHTE.device)
    query_block = (distance + slot_C) // pattern.size  # [T, C], or [B, 1, T, C]
    slot_block = slot_C // pattern.size
    behind = query_block - slot_block
    seen = (behind < pattern.num_window) | (slot_block < pattern.num_global)
    table_HNR = pattern.random_blocks(q_BHTE.shape[1], C // pattern.size + 1, q_BHTE.device)
    for block_HN in table_HNR.unbind(-1):
        chosen = block_HN[:, query_block[..., 0]]  # [H, T], or [H, B, 1, T]
        chosen = chosen if chosen.dim() == 2 else chosen[:, :, 0].transpose(0, 1)
        seen = seen | (chosen[..., None] == slot_block)
    return attention_weights(q_BHTE, k_BGCE, seen & (distance >= 0)) @ per_head(v_BGCE, q_BHTE)
