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
from seqarena.models.stacks.channel_mixers import INITIAL_STD
from seqarena.ops.padding import real_positions
from seqarena.ops.positions import sinusoidal_positions

Positions = Literal["none", "sinusoidal", "learned"]


class _Embedding(nn.Module):
    """What adds positions to vectors that a subclass looks up or projects."""

    def __init__(self, width: int, positions: Positions, max_length: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.positions = positions
        self.learned: nn.Embedding | None = None
        if positions == "learned":
            self.learned = nn.Embedding(max_length, width)
            nn.init.normal_(self.learned.weight, std=INITIAL_STD)
        self.dropout = nn.Dropout(dropout)

    @property
    def most_positions(self) -> int | None:
        """How many positions have a vector: of learned ones as many as were trained."""
        return None if self.learned is None else self.learned.num_embeddings

    def _placed(
        self, x_BTD: Tensor, start: int | Tensor, mask_BT: Tensor | None
    ) -> tuple[Tensor, int | Tensor]:
        """Also returns the position after the last: an int, or a tensor [B] once rows differ."""
        if self.positions != "none":
            x_BTD = x_BTD + self._position_vectors(x_BTD, start, mask_BT).to(x_BTD.dtype)
        end = start + (x_BTD.shape[1] if mask_BT is None else mask_BT.sum(dim=1))
        return self.dropout(x_BTD), end

    def _position_vectors(
        self, x_BTD: Tensor, start: int | Tensor, mask_BT: Tensor | None
    ) -> Tensor:
        """Real positions are counted, padding is not: [T, D], or [B, T, D] where rows differ."""
        index = real_positions(x_BTD, mask_BT)
        index = index + (start[:, None] if isinstance(start, Tensor) else start)
        if self.learned is None:
            return sinusoidal_positions(index, self.width)
        if int(index.max()) >= self.learned.num_embeddings:
            raise UserError(
                f"learned positions end at {self.learned.num_embeddings}, but position "
                f"{int(index.max()) + 1} was asked for: give shorter sequences, or train on longer"
            )
        return self.learned(index)


class TokenEmbedding(_Embedding):
    """tokens_BT [B, T] -> x_BTD [B, T, D]; with spellings and sentences where a task has them."""

    def __init__(
        self,
        vocab_size: int,
        width: int,
        positions: Positions,
        max_length: int,
        dropout: float,
        *,
        num_characters: int = 0,
        num_segments: int = 0,
    ) -> None:
        super().__init__(width, positions, max_length, dropout)
        self.tokens = nn.Embedding(vocab_size, width)
        self.scale = math.sqrt(width)  # of tokens beside sinusoids
        std = 1.0 / self.scale if positions == "sinusoidal" else INITIAL_STD
        nn.init.normal_(self.tokens.weight, std=std)
        self.spelling = Spelling(num_characters, width) if num_characters else None
        self.segments = nn.Embedding(num_segments, width) if num_segments else None
        if self.segments is not None:
            nn.init.normal_(self.segments.weight, std=INITIAL_STD)

    def forward(
        self,
        tokens_BT: Tensor,
        start: int | Tensor,
        mask_BT: Tensor | None,
        *,
        segments_BT: Tensor | None = None,
        characters_BTC: Tensor | None = None,
        **_: Tensor | None,
    ) -> tuple[Tensor, int | Tensor]:
        x_BTD = self.tokens(tokens_BT)
        if self.spelling is not None and characters_BTC is not None:
            x_BTD = x_BTD + self.spelling(characters_BTC)
        if self.segments is not None and segments_BT is not None:
            x_BTD = x_BTD + self.segments(segments_BT)
        if self.positions == "sinusoidal":
            x_BTD = x_BTD * self.scale
        return self._placed(x_BTD, start, mask_BT)

    def flops(self, length: int) -> int:
        """A look-up is free; a spelling is a convolution over about eight letters a word."""
        return 0 if self.spelling is None else 8 * length * self.spelling.flops_per_letter


class FeatureEmbedding(_Embedding):
    """Features [B, T, F] -> x_BTD [B, T, D]: one linear map, and a vector for the category of each
    categorical field added to it. Of one-hot fields beside the features that is one linear map."""

    def __init__(
        self,
        features: int,
        width: int,
        positions: Positions,
        max_length: int,
        dropout: float,
        *,
        categories: tuple[int, ...] = (),
    ) -> None:
        super().__init__(width, positions, max_length, dropout)
        self.project = nn.Linear(features, width)
        self.categories = Categories(categories, width) if categories else None

    def forward(
        self,
        features_BTF: Tensor,
        start: int | Tensor,
        mask_BT: Tensor | None,
        *,
        categories_BTC: Tensor | None = None,
        **_: Tensor | None,
    ) -> tuple[Tensor, int | Tensor]:
        x_BTD = self.project(features_BTF)
        if self.categories is not None:
            assert categories_BTC is not None
            x_BTD = x_BTD + self.categories(categories_BTC)
        return self._placed(x_BTD, start, mask_BT)

    def flops(self, length: int) -> int:
        return 2 * length * self.project.in_features * self.project.out_features


class Categories(nn.Module):
    """categories_BTC [B, T, C] -> [B, T, D]: the sum of one vector a field. Category 0 of a field,
    missing or new, has a vector as any other.

    The sum has the variance that a fresh linear map of standardised numbers has, 1/3, so that
    fields and numbers begin equally loud.
    """

    firsts_C: Tensor

    def __init__(self, sizes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), width)  # the fields one behind the other
        nn.init.normal_(self.table.weight, std=(3 * len(sizes)) ** -0.5)
        firsts_C = torch.tensor([sum(sizes[:number]) for number in range(len(sizes))])
        self.register_buffer("firsts_C", firsts_C, persistent=False)

    def forward(self, categories_BTC: Tensor) -> Tensor:
        return self.table(categories_BTC + self.firsts_C).sum(-2)


class Spelling(nn.Module):
    """A word from its letters: convolution over three letters, then the maximum (Ma and Hovy
    2016, section 2.1). characters_BTC [B, T, C], 0 behind the last letter -> [B, T, D]."""

    LETTER_WIDTH = 24
    TAPS = 3

    def __init__(self, num_characters: int, width: int) -> None:
        super().__init__()
        self.letters = nn.Embedding(num_characters, self.LETTER_WIDTH, padding_idx=0)
        self.filters = nn.Conv1d(self.LETTER_WIDTH, width, self.TAPS, padding=1)
        self.flops_per_letter = 2 * self.TAPS * self.LETTER_WIDTH * width

    def forward(self, characters_BTC: Tensor) -> Tensor:
        letters_NCE = self.letters(characters_BTC.flatten(0, 1))
        found_NDC = self.filters(letters_NCE.transpose(1, 2))
        # a filter that reaches over the last letter sees the zeros that pad every word alike
        beyond_N1C = characters_BTC.flatten(0, 1)[:, None] == 0
        best_ND = found_NDC.masked_fill(beyond_N1C, -torch.inf).amax(-1)
        best_ND = best_ND.masked_fill(best_ND == -torch.inf, 0.0)  # padding has no letters
        return best_ND.unflatten(0, characters_BTC.shape[:2])
