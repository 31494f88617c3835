"""What stands behind the recurrence of most matrix mixers: a norm, a gate and the way out.

    out = W_O (norm(y) * g(x W_g))        norm over a head's features, or over those of all heads

Letters: B batch, T time, D width, H heads, V features of a value.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GatedReadOut(nn.Module):
    """From what the queries read, y_BTHV, and the input, x_BTD, to out_BTD.

    `activation` is that of the gate; `across_heads`: one norm over all heads together.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        value_features: int,
        epsilon: float,
        *,
        activation: Callable[[Tensor], Tensor] = F.silu,
        across_heads: bool = False,
    ) -> None:
        super().__init__()
        inner = num_heads * value_features
        self.activation, self.across_heads = activation, across_heads
        self.gate = nn.Linear(width, inner, bias=False)
        self.norm = nn.RMSNorm(inner if across_heads else value_features, eps=epsilon)
        self.outward = nn.Linear(inner, width, bias=False)

    def forward(self, y_BTHV: Tensor, x_BTD: Tensor) -> Tensor:
        y_BTHV = y_BTHV.to(x_BTD.dtype)
        normed = self.norm(y_BTHV.flatten(2) if self.across_heads else y_BTHV)
        return self.outward(
            normed.reshape(*x_BTD.shape[:2], -1) * self.activation(self.gate(x_BTD))
        )

    def flops(self, length: int) -> int:
        """Of the gate and of the way out."""
        return 2 * length * (self.gate.weight.numel() + self.outward.weight.numel())


@torch.no_grad()
def draw_xavier(weight: Tensor, sizes: tuple[int, ...], gain: float) -> None:
    """Draws several matrices that lie in one, below each other, each as if by itself: Xavier
    uniform with that gain."""
    for part in weight.split(sizes):
        nn.init.xavier_uniform_(part, gain)
