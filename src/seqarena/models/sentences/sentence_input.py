"""What encoders of single sentences share: taking two sentences apart, and comparing their vectors.

    B  examples     N = B, or 2 B where there are two sentences: all first ones, then all second
    T  positions    D  width     F  features     E  size of an encoded sentence

The comparison [u; v; |u - v|; u * v] is that of Mou et al. 2016 and Conneau et al. 2017.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.core.shapes import lengths_to_mask, mask_of
from seqarena.ops.extent import longest
from seqarena.ops.padding import left_align

_EMBEDDING_BOUND = 0.25  # word vectors start uniform in +-0.25 (Kim 2014, section 3.1)


class Sentences(NamedTuple):
    """Each sentence by itself, from its first position on."""

    x_NTD: Tensor  # zeros behind a sentence's end
    real_NT: Tensor  # True at the `lengths_N` first positions
    lengths_N: Tensor
    order_NT: Tensor  # where each position stood in the batch


class SentenceInput(nn.Module):
    """Embeds tokens (or projects features) and takes the sentences of a batch apart."""

    def __init__(self, problem: Problem, width: int) -> None:
        super().__init__()
        self.two = problem.num_segments == 2
        self.features = problem.features
        self.embed: nn.Module = (
            nn.Linear(problem.features, width)
            if problem.features
            else nn.Embedding(problem.vocab_size, width)
        )
        if isinstance(self.embed, nn.Embedding):
            nn.init.uniform_(self.embed.weight, -_EMBEDDING_BOUND, _EMBEDDING_BOUND)

    def forward(self, batch: Batch) -> Sentences:
        inputs = batch.inputs_BT if self.features else batch.inputs_BT[..., None]
        mask_NT = mask_of(batch.mask_BT, inputs)
        if self.two:
            assert batch.segments_BT is not None
            inputs = inputs.repeat(2, 1, 1)
            mask_NT = torch.cat([mask_NT & (batch.segments_BT == s) for s in (0, 1)])
        aligned = left_align(inputs, mask_NT)
        end = longest(aligned.lengths_B, inputs.shape[1])
        found = aligned.x_BTD[:, :end]
        real_NT = lengths_to_mask(aligned.lengths_B, end)
        x_NTD = self.embed(found if self.features else found[..., 0])
        x_NTD = x_NTD.masked_fill(~real_NT[..., None], 0.0)
        return Sentences(x_NTD, real_NT, aligned.lengths_B, aligned.order_BT[:, :end])

    def joined(self, vectors_NE: Tensor) -> Tensor:
        """One vector an example: the sentence's own, or the comparison of two. [B, E or 4 E]."""
        if not self.two:
            return vectors_NE
        first_BE, second_BE = vectors_NE.chunk(2)
        compared = (first_BE, second_BE, (first_BE - second_BE).abs(), first_BE * second_BE)
        return torch.cat(compared, dim=-1)

    def joined_size(self, size: int) -> int:
        """Features of `joined` for sentences of `size` features."""
        return 4 * size if self.two else size

    def lengths(self, length: int) -> list[int]:
        """The positions of the sentences of an example that has `length`, for counting costs."""
        return [length - length // 2, length // 2] if self.two else [length]

    def flops(self, length: int) -> int:
        """A look-up is free; features are projected."""
        if not self.features:
            return 0
        assert isinstance(self.embed, nn.Linear)
        return 2 * length * self.features * self.embed.out_features
