"""What encoder-decoders share: a source put in order, the frame of answering, recurrent layers.

An encoder-decoder reads the source once (`encode`), and its decoder goes on from that: over a whole
target at once in training (`decode`), or a token at a time (`advance`). Both give features that one
linear map turns into logits, so the vocabulary is multiplied once for all positions.

    B  examples    S  source positions    T  target positions    D  inputs    E  hidden features
    A  features of an annotation of the source    M  features before the vocabulary    V  vocabulary
"""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.batch import Batch, Form, Problem
from seqarena.core.shapes import lengths_to_mask
from seqarena.models.model import PositionVectors, System, SystemOptions
from seqarena.models.watching import Look
from seqarena.ops.padding import Aligned, real_first, restore, reverse
from seqarena.ops.recurrent import state_dtype
from seqarena.ops.recurrent.gru import GRUWeights, gru_reset_before
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm


class Ordered(NamedTuple):
    """Tokens with the real ones first. order_BT[b, i] is where token i of row b stood before."""

    tokens_BT: Tensor
    lengths_B: Tensor
    order_BT: Tensor

    @property
    def padding(self) -> Tensor:
        """[B, T], True behind a row's last token. A row without any keeps its first, so that there
        is something to attend to."""
        return ~lengths_to_mask(self.lengths_B.clamp(min=1), self.tokens_BT.shape[1])


def ordered(tokens_BT: Tensor, mask_BT: Tensor | None, *, backwards: bool = False) -> Ordered:
    """Any padding becomes padding on the right; `backwards` turns each row's real tokens round."""
    if mask_BT is None:
        lengths_B = torch.full_like(tokens_BT[:, 0], tokens_BT.shape[1])
        order_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device).expand_as(tokens_BT)
    else:
        lengths_B = mask_BT.sum(1)
        order_BT = real_first(mask_BT)
    if backwards:
        order_BT = reverse(order_BT[..., None], lengths_B)[..., 0]
    return Ordered(tokens_BT.gather(1, order_BT), lengths_B, order_BT)


class EncoderDecoder(System):
    """The frame. A subclass sets `output` [M -> V] and says how it encodes and decodes."""

    forms: ClassVar[tuple[Form, ...]] = ("pairs",)
    source_backwards: bool = False
    output: nn.Linear

    @abstractmethod
    def encode(self, source: Ordered, max_length: int | None) -> Any:
        """Reads the source: the state before the first target token. `max_length` is that of a
        target to be written; None: the target is at hand, and `decode` comes next."""

    @abstractmethod
    def decode(self, tokens_BT: Tensor, state: Any) -> Tensor:
        """Features [B, T, M] of a whole target, right-padded."""

    @abstractmethod
    def advance(self, token_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Features [B, M] of one token more, and the state after it."""

    def answer(self, batch: Batch) -> Tensor:
        target = ordered(batch.inputs_BT, batch.mask_BT)
        x_BTM = self.decode(target.tokens_BT, self.encode(self._source(batch), None))
        if batch.mask_BT is not None:
            x_BTM = restore(x_BTM, Aligned(x_BTM, target.lengths_B, target.order_BT))
        return self.output(x_BTM)

    @property
    def writes(self) -> bool:
        return True

    def begin(self, batch: Batch, max_length: int = 0) -> Any:
        return self.encode(self._source(batch), max_length)

    def step(self, input_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        x_BM, state = self.advance(input_B, state)
        return self.output(x_BM), state

    def _source(self, batch: Batch) -> Ordered:
        assert batch.source_BS is not None
        return ordered(batch.source_BS, batch.source_mask_BS, backwards=self.source_backwards)


class AttentiveDecoder(EncoderDecoder):
    """An encoder-decoder whose decoder looks back at the source."""

    @abstractmethod
    def align(self, tokens_BT: Tensor, state: Any) -> Tensor:
        """Weights [B, T, S] of the source, in its order, for a whole target, right-padded."""

    def attention(self, batch: Batch) -> Tensor:
        """How much each position of the target looks at each of the source, [B, T, S]: rows sum to
        one over the real positions of the source, and are zero at padding of the target."""
        source, target = self._source(batch), ordered(batch.inputs_BT, batch.mask_BT)
        weights_BTS = self.align(target.tokens_BT, self.encode(source, None))
        index_BTS = source.order_BT[:, None].expand_as(weights_BTS)
        weights_BTS = torch.zeros_like(weights_BTS).scatter(2, index_BTS, weights_BTS)
        return restore(weights_BTS, Aligned(weights_BTS, target.lengths_B, target.order_BT))

    def looks(self, batch: Batch) -> list[Look]:
        """Those of each softmax that can be watched, else what `attention` gives."""
        return super().looks(batch) or [
            Look("decoder to source", 0, self.attention(batch)[:, None])
        ]


class RecurrentOptions(SystemOptions):
    """`embedding_width` None: as wide as the hidden state."""

    embedding_width: int | None = Field(None, ge=1)


class RecurrentEncoderDecoder(EncoderDecoder):
    """Both embeddings, which recurrent systems keep apart, and dropout."""

    Options = RecurrentOptions
    dial: ClassVar[str | None] = "embedding_width"

    def __init__(self, problem: Problem, width: int, options: Any) -> None:
        super().__init__(problem, width, options)
        self.embedding_width = options.embedding_width or width
        self.source_tokens = nn.Embedding(problem.source_vocab_size, self.embedding_width)
        self.target_tokens = nn.Embedding(problem.vocab_size, self.embedding_width)
        self.dropout = nn.Dropout(options.dropout)

    def read(self, source: Ordered) -> Tensor:
        """The source's vectors, [B, S, D]."""
        return self.dropout(self.source_tokens(source.tokens_BT))

    def write(self, tokens: Tensor) -> Tensor:
        """The target's vectors, [..., D]."""
        return self.dropout(self.target_tokens(tokens))

    def number_bytes(self) -> int:
        """Of one number of the state."""
        return state_dtype(self.target_tokens.weight.dtype).itemsize


class LSTMLayer(nn.Module):
    """One layer in one direction, its inputs of any width; mixers/recurrent/lstm.py has the
    equations."""

    SERIAL_STEPS = 7  # a position: product, sum, sigmoid, multiply, sum, tanh, multiply

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.input_FD = nn.Parameter(torch.empty(4 * width, inputs))
        self.recurrent_FE = nn.Parameter(torch.empty(4 * width, width))
        self.bias_F = nn.Parameter(torch.zeros(4 * width))

    def forward(
        self, x_BTD: Tensor, start: LSTMState | None, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, LSTMState]:
        """Outputs [B, T, E], free behind a row's length, and the state after its last position."""
        if start is None:
            zeros_BE = x_BTD.new_zeros(
                len(x_BTD), self.width, dtype=state_dtype(self.recurrent_FE.dtype)
            )
            start = LSTMState(zeros_BE, zeros_BE)
        weights = LSTMWeights(self.input_FD, self.recurrent_FE, self.bias_F)
        return lstm(x_BTD, start, weights, lengths_B, algorithm="fused")

    def flops(self, length: int) -> int:
        """Both products of four gates, and the recurrence: f c + i g, o tanh(c)."""
        return length * (8 * self.width * sum(self.sizes) + 4 * self.width)

    @property
    def sizes(self) -> tuple[int, int]:
        return self.input_FD.shape[1], self.width


class GRULayer(nn.Module):
    """One layer in one direction whose reset gate acts before the recurrent product, as the first
    encoders had it (mixers/recurrent/gru.py has the equations; there is no inner bias)."""

    SERIAL_STEPS = 9  # a position: product, sum, sigmoid, multiply, product, sum, tanh, mixture

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.input_FD = nn.Parameter(torch.empty(3 * width, inputs))
        self.recurrent_FE = nn.Parameter(torch.empty(3 * width, width))
        self.bias_F = nn.Parameter(torch.zeros(3 * width))

    def forward(self, x_BTD: Tensor, lengths_B: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs [B, T, E], free behind a row's length, and the last real one [B, E]."""
        start_BE = x_BTD.new_zeros(
            len(x_BTD), self.width, dtype=state_dtype(self.recurrent_FE.dtype)
        )
        weights = GRUWeights(self.input_FD, self.recurrent_FE, self.bias_F, None)
        return gru_reset_before(x_BTD, start_BE, weights, lengths_B, algorithm="stepwise")

    def flops(self, length: int) -> int:
        """Both products of three gates, and the recurrence: r h and the mixture."""
        return length * (6 * self.width * (self.input_FD.shape[1] + self.width) + 4 * self.width)


class Memory(NamedTuple):
    """The source as a decoder sees it. Keys are the annotations as the score wants them."""

    keys_BSE: Tensor
    annotations_BSA: Tensor
    padding_BS: Tensor

    def average(self, score: Tensor) -> tuple[Tensor, Tensor]:
        """score [B, (T,) S] -> its softmax over what is real, and the annotations' mean by it."""
        together = score.dim() == 3
        score_BTS = score if together else score[:, None]
        score_BTS = score_BTS.masked_fill(self.padding_BS[:, None], -torch.inf)
        weights_BTS = score_BTS.softmax(-1)
        context_BTA = weights_BTS.to(self.annotations_BSA.dtype) @ self.annotations_BSA
        if together:
            return weights_BTS, context_BTA
        return weights_BTS[:, 0], context_BTA[:, 0]

    def position_vectors(self) -> PositionVectors:
        """The annotations, with the source's real positions first."""
        return PositionVectors(self.annotations_BSA, ~self.padding_BS, causal=False)


def maxout(x: Tensor) -> Tensor:
    """The larger of each pair of neighbours: [..., 2 M] -> [..., M]."""
    return x.unflatten(-1, (-1, 2)).amax(-1)


def draw_as_groundhog(module: nn.Module) -> None:
    """Draws a GRU system's weights: square blocks of recurrent matrices orthogonal, biases zero, as
    published (Bahdanau et al. 2015, appendix B.1; Cho et al. 2014, section 4.1.1). All else is
    published as N(0, 0.01^2), which holds for a thousand units alone: here embeddings are
    N(0, 0.1^2) and matrices Xavier uniform, for any width."""
    for name, parameter in module.named_parameters():
        if parameter.dim() < 2:
            nn.init.zeros_(parameter)
        elif name.endswith("recurrent_FE"):
            for block_EE in parameter.detach().split(parameter.shape[1]):
                nn.init.orthogonal_(block_EE)
        elif "_tokens" in name:
            nn.init.normal_(parameter, std=0.1)
        else:
            nn.init.xavier_uniform_(parameter)


def draw_uniform(module: nn.Module, bound: float) -> None:
    """Draws every parameter from +-`bound`."""
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)
