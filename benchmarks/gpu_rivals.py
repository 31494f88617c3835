"""What the GPU's rows are measured against: a GPT as nanoGPT wires it, cuDNN's cells in a row, and
the operations of flash-linear-attention where it is installed."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.training import VOCABULARY, count


class _Block(nn.Module):
    """Pre-norm attention with one query-key-value map, then an MLP of four times the width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.merge = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        parts = self.qkv(self.norm_1(x_BTD)).split(D, dim=2)
        q, k, v = (part.view(B, T, self.heads, -1).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTD = x_BTD + self.merge(y.transpose(1, 2).contiguous().view(B, T, D))
        return x_BTD + self.down(F.gelu(self.up(self.norm_2(x_BTD))))


class GPT(nn.Module):
    """Learned positions, fused attention, tied head, no biases."""

    def __init__(self, width: int, depth: int, length: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(length, width)
        heads = max(1, width // 64)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, bias=False)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        places_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        x_BTD = self.tokens(tokens_BT) + self.positions(places_T)
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return F.linear(self.norm(x_BTD), self.tokens.weight)


class Cells(nn.Module):
    """Bare layers of nn.LSTM or nn.GRU, cuDNN's on a GPU, between an embedding and a tied head."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], width: int, depth: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.layers = kind(width, width, depth, batch_first=True)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return F.linear(self.layers(self.tokens(tokens_BT))[0], self.tokens.weight)


def sized(make: Callable[[int], nn.Module], params: int, step: int) -> nn.Module:
    """The model of that family, by its width, that is nearest to so many parameters."""

    def size(width: int) -> int:
        with torch.device("meta"):
            return count(make(width))

    width = step
    while size(width + step) <= params:
        width += step
    nearest = min((width, width + step), key=lambda w: abs(size(w) - params))
    return make(nearest)


def fla_form(kind: str) -> Callable[..., Tensor] | None:
    """flash-linear-attention's function of (q, k, v, log_decay, beta), [B, T, H, ...] each, for a
    kind of recurrence, None where it has none. Raises ImportError where the package is missing."""
    from fla.ops.delta_rule import chunk_delta_rule  # pyright: ignore[reportMissingImports]
    from fla.ops.gated_delta_rule import (  # pyright: ignore[reportMissingImports]
        chunk_gated_delta_rule,
    )
    from fla.ops.gla import chunk_gla  # pyright: ignore[reportMissingImports]
    from fla.ops.simple_gla import chunk_simple_gla  # pyright: ignore[reportMissingImports]

    forms: dict[str, Callable[..., Tensor]] = {
        "decay a head": lambda q, k, v, g, beta: chunk_simple_gla(q, k, v, g[..., 0], scale=1.0)[0],
        "decay a key": lambda q, k, v, g, beta: chunk_gla(q, k, v, g, scale=1.0)[0],
        "delta": lambda q, k, v, g, beta: chunk_delta_rule(q, k, v, beta, scale=1.0)[0],
        "gated delta": lambda q, k, v, g, beta: chunk_gated_delta_rule(
            q, k, v, g[..., 0], beta, scale=1.0
        )[0],
    }
    return forms.get(kind)
