"""RNNsearch: Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly learning to
align and translate", appendix A (biases, left out there, are added):

    a_j  = [forward GRU ; backward GRU] at x_j          reset before the product
    s_0  = tanh(W_s backward a_1)
    w_ij = softmax_j(v . tanh(W_a s_{i-1} + U_a a_j)),   c_i = sum_j w_ij a_j
    r, z = sigmoid(W e(y_{i-1}) + U s_{i-1} + C c_i)                     each its own rows
    n    = tanh(W e(y_{i-1}) + U (r * s_{i-1}) + C c_i)
    s_i  = z * s_{i-1} + (1 - z) * n                    z is one minus the paper's
    t_i  = maxout(U_o s_{i-1} + V_o e(y_{i-1}) + C_o c_i),   p(y_i | ...) = softmax(W_o t_i + b)

    B  examples    S, T  positions    D  embedding    E  hidden    A = 2 E, an annotation
    F = 3 E, the rows of r, z and n    M = ceil(E / 2) after maxout
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqarena.core.batch import Batch, Problem
from seqarena.mixers.base import Complexity
from seqarena.models.encoder_decoders.bridges import (
    AttentiveDecoder,
    GRULayer,
    Memory,
    Ordered,
    RecurrentEncoderDecoder,
    RecurrentOptions,
    draw_as_groundhog,
    maxout,
)
from seqarena.models.model import PositionVectors
from seqarena.ops.padding import reverse


class SearchState(NamedTuple):
    """s_BE is s_{i-1}."""

    s_BE: Tensor
    memory: Memory


class RNNSearch(RecurrentEncoderDecoder, AttentiveDecoder):
    """v starts at zero, so that every source position counts alike at first (appendix B.1).
    Dropout, absent from the paper, lies on embeddings, annotations and before W_o."""

    equation = """
        a_j  = [forward GRU ; backward GRU] at x_j
        s_0  = tanh(W_s backward a_1)
        w_ij = softmax_j(v . tanh(W_a s_{i-1} + U_a a_j)),   c_i = sum_j w_ij a_j
        r, z = sigmoid(W e(y_{i-1}) + U s_{i-1} + C c_i)
        n    = tanh(W e(y_{i-1}) + U (r * s_{i-1}) + C c_i)
        s_i  = z * s_{i-1} + (1 - z) * n
        t_i  = maxout(U_o s_{i-1} + V_o e(y_{i-1}) + C_o c_i),   p(y_i | ...) = softmax(W_o t_i + b)
    """
    complexity = Complexity(
        work="T^2 D + T D^2", serial_steps="T", path_length="T; to the source 1", state="T D"
    )

    def __init__(self, problem: Problem, width: int, options: RecurrentOptions) -> None:
        super().__init__(problem, width, options)
        inputs, half = self.embedding_width, (width + 1) // 2
        self.ahead = GRULayer(inputs, width)
        self.back = GRULayer(inputs, width)
        self.first = nn.Linear(width, width)  # W_s
        self.query = nn.Linear(width, width, bias=False)  # W_a
        self.key = nn.Linear(2 * width, width)  # U_a, and the bias of both
        self.score = nn.Parameter(torch.empty(width))  # v
        self.input = nn.Linear(inputs, 3 * width)  # W
        self.context = nn.Linear(2 * width, 3 * width, bias=False)  # C
        self.recurrent_FE = nn.Parameter(torch.empty(3 * width, width))  # U
        self.readout = nn.Linear(3 * width + inputs, 2 * half)  # U_o, V_o, C_o
        self.output = nn.Linear(half, problem.num_outputs)  # W_o
        draw_as_groundhog(self)

    def encode(self, source: Ordered, max_length: int | None) -> SearchState:
        x_BSD, lengths_B = self.read(source), source.lengths_B
        ahead_BSE, _ = self.ahead(x_BSD, lengths_B)
        back_BSE, first_BE = self.back(reverse(x_BSD, lengths_B), lengths_B)
        a_BSA = self.dropout(torch.cat((ahead_BSE, reverse(back_BSE, lengths_B)), -1))
        memory = Memory(self.key(a_BSA), a_BSA, source.padding)
        return SearchState(self.first(first_BE).tanh().to(first_BE.dtype), memory)

    def position_vectors(self, batch: Batch) -> PositionVectors:
        return self.encode(self._source(batch), None).memory.position_vectors()

    def decode(self, tokens_BT: Tensor, state: SearchState) -> Tensor:
        e_BTD = self.write(tokens_BT)
        s_BTE, _, c_BTA = self._walk(e_BTD, state)
        return self._read_out(s_BTE, e_BTD, c_BTA)

    def align(self, tokens_BT: Tensor, state: SearchState) -> Tensor:
        return self._walk(self.write(tokens_BT), state)[1]

    def advance(self, token_B: Tensor, state: SearchState) -> tuple[Tensor, SearchState]:
        e_BD = self.write(token_B)
        after_BE, _, c_BA = self._cell(self.input(e_BD), state, self._state_weights())
        return self._read_out(state.s_BE, e_BD, c_BA), SearchState(after_BE, state.memory)

    def _walk(self, e_BTD: Tensor, state: SearchState) -> tuple[Tensor, Tensor, Tensor]:
        """The states before each token, the weights and the contexts, [B, T, ...] each."""
        found, weights_GE = [], self._state_weights()
        for x_BF in self.input(e_BTD).unbind(1):
            after_BE, weights_BS, c_BA = self._cell(x_BF, state, weights_GE)
            found.append((state.s_BE, weights_BS, c_BA))
            state = SearchState(after_BE, state.memory)
        s_BTE, weights_BTS, c_BTA = (torch.stack(each, 1) for each in zip(*found))
        return s_BTE, weights_BTS, c_BTA

    def _state_weights(self) -> Tensor:
        """What multiplies s_{i-1}, one under the other, G = 3 E: W_a and the rows of r and z."""
        return torch.cat((self.query.weight, self.recurrent_FE[: 2 * self.width]))

    def _cell(
        self, x_BF: Tensor, state: SearchState, weights_GE: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step: (s_i, weights over the source, c_i)."""
        s_BE, width = state.s_BE, self.width
        query_BE, inner_both = functional.linear(s_BE, weights_GE).split((width, 2 * width), 1)
        seen_BSE = (query_BE[:, None] + state.memory.keys_BSE).tanh()
        weights_BS, c_BA = state.memory.average(seen_BSE @ self.score)
        x_both, x_n = (x_BF + self.context(c_BA)).split((2 * width, width), 1)
        r_BE, z_BE = (x_both + inner_both).sigmoid().chunk(2, 1)
        n_BE = (x_n + functional.linear(r_BE * s_BE, self.recurrent_FE[2 * width :])).tanh()
        return n_BE + z_BE * (s_BE - n_BE), weights_BS, c_BA

    def _read_out(self, s: Tensor, e: Tensor, c: Tensor) -> Tensor:
        return self.dropout(maxout(self.readout(torch.cat((s, e, c), -1))))

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("stepwise", "stepwise", "loop")

    def flops(self, length: int) -> int:
        """Besides products: scores and averages of every pair (sum, product with v, average), the
        gates' sums, r s and the mixture."""
        each = (self.query, self.key, self.input, self.context, self.readout, self.output)
        products = sum(m.weight.numel() for m in each) + self.recurrent_FE.numel()
        pairs = length * length * (3 + 4) * self.width
        encoder = 2 * self.ahead.flops(length)
        once = 2 * self.first.weight.numel()
        return encoder + pairs + once + length * (2 * products + 10 * self.width)

    def state_bytes(self, length: int) -> int:
        """The state, keys and annotations, and which source positions are padding."""
        return (1 + 3 * length) * self.width * self.number_bytes() + length

    def serial_steps(self, length: int) -> int:
        """Encoder (both directions beside each other), keys, decoder (product, sum, tanh, product,
        softmax, average, product, sum, sum, sigmoid, multiply, product, sum, tanh, and three of the
        mixture), readout."""
        return 1 + GRULayer.SERIAL_STEPS * length + 3 + 17 * length + 3
