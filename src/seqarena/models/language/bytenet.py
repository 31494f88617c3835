"""ByteNet (Kalchbrenner et al. 2016): a dilated convolutional decoder on top of a dilated encoder.

A block (figure 3) adds to a stream of 2d features what it does at d features:

    relu            LN relu 1x1(2d to d)  LN relu conv(1 x k, dilated)  LN relu  1x1(d to 2d)
    multiplicative  LN relu 1x1(2d to d)  LN MU(1 x k, dilated)                  1x1(d to 2d)
    MU(h) = g_1 . tanh(g_2 . h + g_3 . u),   g_i = sigmoid(W_i * h),   u = tanh(W_4 * h)

Dilations run 1, 2, 4, 8, 16 in every set of blocks. The encoder's convolutions are centred, the
decoder's see no later position; the latter alone is a language model.

Dynamic unfolding (section 3.2): the source is continued with zeros to n = ceil(a |s| + b) columns,
and column t of the encoder is stacked with the embedding of target position t; beyond n the column
is zero, so a target may be of any length. Work and memory are linear in both lengths.

    B batch   S source   N encoder columns   T target   D width: d   E stream: 2d   V answers
"""

import math
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity
from seqarena.models.language.causal_system import (
    CausalSystem,
    PastState,
    layer_pasts,
    real_positions,
)
from seqarena.models.model import SystemOptions
from seqarena.ops.history import extend, over_real_positions, windows
from seqarena.ops.padding import left_align

EMBEDDING_STD = 0.1


class ByteNetOptions(SystemOptions):
    """The paper: 6 sets of both, kernel 3, dilations up to 16, a = 1.2 and b = 0; multiplicative
    blocks for language modelling, relu blocks for translation ("auto")."""

    block: Literal["auto", "relu", "multiplicative"] = "auto"
    kernel: int = 3
    largest_dilation: int = 16
    encoder_sets: int = 1
    decoder_sets: int = 1
    unfold_ratio: float = 1.2  # a
    unfold_extra: int = 0  # b, in positions
    head_width: int | None = None  # of the last hidden layer; None: 2d


class ByteNetState(NamedTuple):
    """Where a target stands."""

    columns_BNE: Tensor
    past: PastState
    position: int  # of the next target token


class ByteNetBlock(nn.Module):
    """One residual block, causal or centred."""

    def __init__(
        self, width: int, kernel: int, dilation: int, *, multiplicative: bool, dropout: float
    ) -> None:
        super().__init__()
        self.kernel, self.dilation = kernel, dilation
        self.past = (kernel - 1) * dilation
        self.outer_norm = nn.LayerNorm(2 * width)
        self.narrow = nn.Linear(2 * width, width)
        self.inner_norm = nn.LayerNorm(width)
        self.convolution = nn.Linear(kernel * width, (4 if multiplicative else 1) * width)
        self.last_norm = None if multiplicative else nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)

    def inner(self, x_BTE: Tensor) -> Tensor:
        """What the convolution reads: [B, T, E] -> [B, T, D]."""
        h_BTD = self.inner_norm(self.narrow(self.outer_norm(x_BTE).relu()))
        return h_BTD if self.last_norm is None else h_BTD.relu()

    def outer(self, x_BTE: Tensor, h_BTD: Tensor, h_BPD: Tensor) -> Tensor:
        """From the convolution's inputs, with the neighbours that it reaches, to the stream."""
        found = self.convolution(windows(h_BPD, self.kernel, self.dilation))
        if self.last_norm is not None:
            y_BTD = self.last_norm(found).relu()
        else:
            *gates, update_BTD = found.chunk(4, dim=-1)
            first_BTD, second_BTD, third_BTD = (gate.sigmoid() for gate in gates)
            kept_BTD = second_BTD * h_BTD + third_BTD * update_BTD.tanh()
            y_BTD = first_BTD * kept_BTD.tanh()
        return x_BTE + self.dropout(self.widen(y_BTD))

    def causal(
        self, x_BTE: Tensor, past_BPD: Tensor | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """No position sees a later one; also gives the past of the next call."""
        h_BTD = self.inner(x_BTE)
        h_BPD, past_BPD = extend(h_BTD, past_BPD, self.past, lengths_B)
        return self.outer(x_BTE, h_BTD, h_BPD), past_BPD

    def centred(self, x_BNE: Tensor, real_BN1: Tensor | None) -> Tensor:
        """Positions see both sides; where `real_BN1` is false there is nothing to see."""
        h_BND = self.inner(x_BNE)
        if real_BN1 is not None:
            h_BND = h_BND.masked_fill(~real_BN1, 0.0)
        side = self.past // 2
        return self.outer(x_BNE, h_BND, F.pad(h_BND, (0, 0, side, side)))


class ByteNet(CausalSystem):
    """Pairs: encoder and decoder. Tokens: the decoder alone."""

    Options = ByteNetOptions
    forms = ("tokens", "pairs")
    needs = ("vocab_size",)
    targets = ("classes", "numbers")
    dial = "head_width"
    equation = """
        relu            LN relu 1x1(2d to d)  LN relu conv(1 x k, dilated)  LN relu  1x1(d to 2d)
        multiplicative  LN relu 1x1(2d to d)  LN MU(1 x k, dilated)                  1x1(d to 2d)
        MU(h) = g_1 . tanh(g_2 . h + g_3 . u),   g_i = sigmoid(W_i * h),   u = tanh(W_4 * h)
    """
    complexity = Complexity(
        work="T K D^2", serial_steps="1", path_length="log T", state="K dilation D"
    )

    def __init__(self, problem: Problem, width: int, options: ByteNetOptions) -> None:
        super().__init__(problem, width, options)
        _check(options)
        pairs = problem.form == "pairs"
        self.target_words = _embedding(problem.vocab_size, 2 * width)
        self.source_words = _embedding(problem.source_vocab_size, 2 * width) if pairs else None
        self.stacked = nn.Linear(4 * width, 2 * width) if pairs else None
        self.encoder = self._blocks(options.encoder_sets if pairs else 0)
        self.decoder = self._blocks(options.decoder_sets)
        head = options.head_width or 2 * width
        self.narrow = nn.Linear(2 * width, head)
        self.output = nn.Linear(head, problem.num_outputs)
        self.dropout = nn.Dropout(options.dropout)

    @property
    def block(self) -> str:
        """The kind of block that it has."""
        if self.options.block != "auto":
            return self.options.block
        return "relu" if self.problem.form == "pairs" else "multiplicative"

    def _blocks(self, sets: int) -> nn.ModuleList:
        options = self.options
        cycle = [2**k for k in range(options.largest_dilation.bit_length())]
        return nn.ModuleList(
            ByteNetBlock(
                self.width, options.kernel, dilation,
                multiplicative=self.block == "multiplicative", dropout=options.dropout,
            )
            for dilation in cycle * sets
        )  # fmt: skip

    @property
    def pasts(self) -> tuple[tuple[int, int], ...]:
        return tuple((block.past, self.width) for block in self.decoder)  # pyright: ignore

    def embed(self, inputs_BT: Tensor) -> Tensor:
        return self.dropout(self.target_words(inputs_BT))

    def mix(
        self, x_BTD: Tensor, state: PastState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, PastState]:
        kept = []
        for block, past_BPD in zip(self.decoder, layer_pasts(state, len(self.decoder))):
            x_BTD, past_BPD = block.causal(x_BTD, past_BPD, lengths_B)  # pyright: ignore
            kept.append(past_BPD)
        return x_BTD, PastState(tuple(kept))

    def head(self, y_BTD: Tensor) -> Tensor:
        return self.output(self.narrow(y_BTD).relu())

    def encode(self, source_BS: Tensor, source_mask_BS: Tensor | None) -> Tensor:
        """Sources to columns [B, N, E]: N = ceil(a S + b), zero beyond each row's own n."""
        assert self.source_words is not None
        x_BSE, real_BN1 = self.dropout(self.source_words(source_BS)), None
        num_columns = self._num_columns(source_BS.shape[1])
        if source_mask_BS is not None:
            aligned = left_align(x_BSE, source_mask_BS)
            x_BSE = aligned.x_BTD
            own_B = [self._num_columns(length) for length in aligned.lengths_B.tolist()]
            num_columns = max(own_B)
            real_BN1 = real_positions(torch.tensor(own_B, device=x_BSE.device), num_columns)
        x_BNE = F.pad(x_BSE, (0, 0, 0, num_columns - x_BSE.shape[1]))
        for block in self.encoder:
            x_BNE = block.centred(x_BNE, real_BN1)  # pyright: ignore
        return x_BNE if real_BN1 is None else x_BNE.masked_fill(~real_BN1, 0.0)

    def _num_columns(self, length: int) -> int:
        # rounded first: 1.1 * 10 is a hair more than 11
        reached = round(self.options.unfold_ratio * length, 6)
        return math.ceil(reached) + self.options.unfold_extra

    def _stack(self, columns_BNE: Tensor, x_BTE: Tensor, position: int) -> Tensor:
        """Targets from `position` on, each on top of its encoder column."""
        assert self.stacked is not None
        here_BNE = columns_BNE[:, position : position + x_BTE.shape[1]]
        here_BTE = F.pad(here_BNE, (0, 0, 0, x_BTE.shape[1] - here_BNE.shape[1]))
        return self.stacked(torch.cat((here_BTE, x_BTE), dim=-1))

    def answer(self, batch: Batch) -> Tensor:
        if self.problem.form == "tokens":
            return super().answer(batch)
        assert batch.source_BS is not None
        columns_BNE = self.encode(batch.source_BS, batch.source_mask_BS)
        y_BTE, _ = over_real_positions(
            lambda x_BTE, lengths_B: self.mix(self._stack(columns_BNE, x_BTE, 0), None, lengths_B),
            self.embed(batch.inputs_BT),
            batch.mask_BT,
        )
        return self.head(y_BTE)

    @property
    def writes(self) -> bool:
        return True

    def begin(self, batch: Batch, max_length: int = 0) -> Any:
        if self.problem.form == "tokens":
            return super().begin(batch, max_length)
        assert batch.source_BS is not None
        columns_BNE = self.encode(batch.source_BS, batch.source_mask_BS)
        return ByteNetState(columns_BNE, self.initial_state(len(columns_BNE)), 0)

    def step(self, input_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        if self.problem.form == "tokens":
            return super().step(input_B, state)
        columns_BNE, past, position = state
        x_B1E = self._stack(columns_BNE, self.embed(input_B[:, None]), position)
        y_B1E, past = self.mix(x_B1E, past, None)
        return self.head(y_B1E)[:, 0], ByteNetState(columns_BNE, past, position + 1)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return (self.block,) * (len(self.encoder) + len(self.decoder))

    def flops(self, length: int) -> int:
        decoder = _weights(self.decoder, self.narrow, self.output)
        if self.stacked is None:
            return 2 * length * decoder
        columns = self._num_columns(length)
        return 2 * (length * (decoder + _weights(self.stacked)) + columns * _weights(self.encoder))

    def state_bytes(self, length: int) -> int:
        if self.stacked is None:
            return super().state_bytes(length)
        columns = 2 * self.width * self._num_columns(length)
        return super().state_bytes(length) + columns * self.output.weight.element_size()

    def serial_steps(self, length: int) -> int:
        # norm, relu and product, thrice; or norm, relu, product, norm, convolution, five of the
        # unit, product; then the residual
        block = 10 if self.block == "relu" else 12
        blocks = block * (len(self.encoder) + len(self.decoder))
        return blocks + 3 + (0 if self.stacked is None else 1)


def _embedding(vocab_size: int, width: int) -> nn.Embedding:
    words = nn.Embedding(vocab_size, width)
    nn.init.normal_(words.weight, std=EMBEDDING_STD)
    return words


def _weights(*modules: nn.Module) -> int:
    """Numbers in matrices: multiply-adds at one position."""
    return sum(p.numel() for module in modules for p in module.parameters() if p.dim() == 2)


def _check(options: ByteNetOptions) -> None:
    if options.kernel < 3 or options.kernel % 2 == 0:
        raise UserError(
            f"ByteNet's encoder looks equally far to both sides: a kernel of {options.kernel} "
            "cannot, use 3, 5 or another odd number"
        )
    if options.largest_dilation < 1 or options.largest_dilation.bit_count() != 1:
        raise UserError(
            f"a largest dilation of {options.largest_dilation} is no power of two: use 1, 2, 4 ..."
        )
    if options.encoder_sets < 1 or options.decoder_sets < 1:
        raise UserError("ByteNet needs at least one set of blocks on each side")
    if options.unfold_ratio < 1.0 or options.unfold_extra < 0:
        raise UserError(
            f"unfolding to {options.unfold_ratio:g} |s| + {options.unfold_extra} columns would cut "
            "sources off: use a ratio of at least 1 and an extra of at least 0"
        )
