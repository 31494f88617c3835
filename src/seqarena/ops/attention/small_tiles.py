"""PyTorch's attention in float32 on the CPU while oneDNN multiplies (core/products.py): its kernel
works through tiles of queries and keys, and small ones go to the BLAS, in both directions."""

from typing import Any

import torch
from torch import Tensor

from seqarena.core.products import library, small_products

_FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_MOST_KEYS = 512  # of a tile


def applies(q_BHTE: Tensor, k_BHCE: Tensor, v_BHCE: Tensor, mask: Tensor | None) -> bool:
    """Whether it computes what the library's own choice would, and it matters."""
    return (
        library() == "onednn"
        and q_BHTE.dtype == k_BHCE.dtype == v_BHCE.dtype == torch.float32
        and q_BHTE.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and q_BHTE.shape[:2] == k_BHCE.shape[:2] == v_BHCE.shape[:2]
        and q_BHTE.shape[-1] == k_BHCE.shape[-1] == v_BHCE.shape[-1]
        and all(x.stride(-1) == 1 and x.numel() for x in (q_BHTE, k_BHCE, v_BHCE))
        and (mask is None or not mask.requires_grad)
    )


def attend(
    q_BHTE: Tensor,
    k_BHCE: Tensor,
    v_BHCE: Tensor,
    mask: Tensor | None,
    causal: bool,
    scale: float | None,
) -> Tensor:
    """y_BHTE."""
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=q_BHTE.dtype).masked_fill_(~mask, -torch.inf)
    return _SmallTiles.apply(q_BHTE, k_BHCE, v_BHCE, mask, causal, scale)  # pyright: ignore[reportReturnType]


class _SmallTiles(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q_BHTE: Tensor,
        k_BHCE: Tensor,
        v_BHCE: Tensor,
        mask: Tensor | None,
        causal: bool,
        scale: float | None,
    ) -> Tensor:
        ctx.mask, ctx.causal, ctx.scale = mask, causal, scale
        ctx.multiplications = _tile(q_BHTE.shape[2], k_BHCE.shape[2]) * q_BHTE.shape[3]
        with small_products(ctx.multiplications):
            y, sums = _FLASH(q_BHTE, k_BHCE, v_BHCE, 0.0, causal, attn_mask=mask, scale=scale)
        ctx.save_for_backward(q_BHTE, k_BHCE, v_BHCE, y, sums)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, y, sums = ctx.saved_tensors
        more = {"attn_mask": ctx.mask, "scale": ctx.scale}
        with small_products(ctx.multiplications):
            found = _FLASH_BACKWARD(gradients[0], q, k, v, y, sums, 0.0, ctx.causal, **more)
        return *found, None, None, None


def _tile(queries: int, keys: int) -> int:
    """Pairs in a tile of the library's kernel."""
    rows = 256 if queries >= 768 else 64 if queries >= 192 else 32
    return min(rows, queries) * min(_MOST_KEYS, keys)
