"""PyTorch's scaled_dot_product_attention."""

import math

from torch import Tensor

from seqarena.ops.attention import attention
from seqarena.ops.attention.shared import (
    NEGATIVE_INFINITY,
    attention_weights,
    bias_features,
    penalty,
    per_head,
    sdpa,
    seen_slots,
    single_query,
    slot_distance,
)


@attention.algorithm("fused", serial_steps=lambda length: 3)
def fused(
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
    T, C, scale = q_BHTE.shape[2], k_BGCE.shape[2], None
    plain = starts_B is None and lengths_B is None and slopes_H is None
    if plain and T == 1 and bias_BHC is not None:  # features would copy every key
        weights_BH1C = attention_weights(q_BHTE, k_BGCE, bias=bias_BHC[:, :, None])
        return weights_BH1C.to(q_BHTE.dtype) @ per_head(v_BGCE, q_BHTE)
    if bias_BHC is not None:  # as features, so that no T x C matrix has to hold it
        scale, v_BGCE = 1 / math.sqrt(q_BHTE.shape[-1]), per_head(v_BGCE, q_BHTE)
        q_BHTE, k_BGCE = bias_features(q_BHTE, k_BGCE, bias_BHC)
    if plain and T == 1:
        return single_query(q_BHTE, k_BGCE, v_BGCE)
    if plain and (C == T or not causal):
        return sdpa(q_BHTE, k_BGCE, v_BGCE, None, causal=causal, scale=scale)
    distance = slot_distance(T, C, starts_B, q_BHTE.device)
    seen = seen_slots(distance, causal, lengths_B)
    if slopes_H is None:
        return sdpa(q_BHTE, k_BGCE, v_BGCE, seen, scale=scale)
    bias = penalty(distance, slopes_H, q_BHTE.dtype)
    bias = bias.masked_fill(~seen, NEGATIVE_INFINITY)
    return sdpa(q_BHTE, k_BGCE, v_BGCE, bias, scale=scale)
