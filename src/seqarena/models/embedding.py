"""Token embedding, with sinusoidal or learned positions added to it when the model asks for them.

Positions inside a mixer (rotary, ALiBi) are the mixer's own; recurrent mixers need none. Beside
sinusoids, whose size is one, tokens are drawn from N(0, 1/D) and scaled by sqrt(D), as in Vaswani
et al. 2017, section 3.4; else they are drawn as in GPT-2.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.models.channel_mixers import INITIAL_STD
from seqarena.ops.positions import sinusoidal_positions

Positions = Literal["none", "sinusoidal", "learned"]


class TokenEmbedding(nn.Module):
    """tokens_BT [B, T] -> x_BTD [B, T, D]."""

    def __init__(
        self, vocab_size: int, width: int, positions: Positions, max_length: int, dropout: float
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.scale = math.sqrt(width)  # of tokens beside sinusoids
        std = 1.0 / self.scale if positions == "sinusoidal" else INITIAL_STD
        nn.init.normal_(self.tokens.weight, std=std)
        self.positions = positions
        self.learned: nn.Embedding | None = None
        if positions == "learned":
            self.learned = nn.Embedding(max_length, width)
            nn.init.normal_(self.learned.weight, std=INITIAL_STD)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, tokens_BT: Tensor, start: int | Tensor, mask_BT: Tensor | None
    ) -> tuple[Tensor, int | Tensor]:
        """Also returns the position after the last: an int, or a tensor [B] once rows differ."""
        length = tokens_BT.shape[1]
        x_BTD = self.tokens(tokens_BT)
        if self.positions == "sinusoidal":
            x_BTD = x_BTD * self.scale
        if self.positions != "none":
            x_BTD = x_BTD + self._position_vectors(tokens_BT, start, mask_BT).to(x_BTD.dtype)
        end = start + (length if mask_BT is None else mask_BT.sum(dim=1))
        return self.dropout(x_BTD), end

    def _position_vectors(
        self, tokens_BT: Tensor, start: int | Tensor, mask_BT: Tensor | None
    ) -> Tensor:
        """Real positions are counted, padding is not: [T, D], or [B, T, D] where rows differ."""
        if mask_BT is None:
            index = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        else:
            index = (mask_BT.cumsum(dim=1) - 1).clamp(min=0)
        index = index + (start[:, None] if isinstance(start, Tensor) else start)
        if self.learned is None:
            return sinusoidal_positions(index, self.tokens.embedding_dim)
        if int(index.max()) >= self.learned.num_embeddings:
            raise UserError(
                f"learned positions end at {self.learned.num_embeddings}, but position "
                f"{int(index.max()) + 1} was asked for: train with a larger max_length"
            )
        return self.learned(index)
