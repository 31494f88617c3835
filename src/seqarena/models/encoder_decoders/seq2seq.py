"""Two encoder-decoders that put the whole source into one vector.

Seq2SeqLSTM, Sutskever, Vinyals and Le 2014, "Sequence to sequence learning with neural networks":

    (h, c) of each layer after the source, read backwards  ->  the decoder's layers start there
    p(y_t | y_<t, x) = softmax(W h_t + b),  h_t the decoder's top layer after y_{t-1}

Seq2SeqGRU, Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for
statistical machine translation", appendix A.1 (biases, left out there, are added):

    c    = tanh(V h_S)                           h_S the encoder's last state (reset before product)
    h'_0 = tanh(V' c)
    r, z = sigmoid(W' e(y_{t-1}) + U' h'_{t-1} + C c)                each its own rows
    n    = tanh(W' e(y_{t-1}) + r * (U' h'_{t-1} + C c))
    h'_t = z * h'_{t-1} + (1 - z) * n
    s    = maxout(O_h h'_t + O_y e(y_{t-1}) + O_c c),   p(y_t | ...) = softmax(G s + b)

Of the second: e(y_0) is the vector of START, zero in the paper; and G is one matrix, where the
paper factors it through the width of the embedding.

    B  examples    S, T  positions    D  embedding    E  hidden    M = ceil(E / 2) after maxout
    F = 3 E, the rows of r, z and n
"""

from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.batch import Problem
from seqarena.mixers.base import Complexity
from seqarena.models.encoder_decoders.bridges import (
    GRULayer,
    LSTMLayer,
    Ordered,
    RecurrentEncoderDecoder,
    RecurrentOptions,
    draw_as_groundhog,
    draw_uniform,
    maxout,
)
from seqarena.ops.recurrent.lstm import LSTMState

_COMPLEXITY = Complexity(work="T D^2", serial_steps="T", path_length="T", state="D")


class Seq2SeqLSTMOptions(RecurrentOptions):
    """`layers` of the encoder and of the decoder each (published: 4)."""

    layers: int = Field(2, ge=1)
    reverse_source: bool = True


class Seq2SeqLSTM(RecurrentEncoderDecoder):
    """Every weight starts in +-0.08, as published. Dropout, absent from the paper, lies where
    Zaremba et al. 2014 put it: on what goes up, never on what goes on in time."""

    Options = Seq2SeqLSTMOptions
    equation = """
        (h, c) of each layer after the source, read backwards  ->  the decoder's layers start there
        p(y_t | y_<t, x) = softmax(W h_t + b),  h_t the decoder's top layer after y_{t-1}
    """
    complexity = _COMPLEXITY
    BOUND: ClassVar[float] = 0.08

    def __init__(self, problem: Problem, width: int, options: Seq2SeqLSTMOptions) -> None:
        super().__init__(problem, width, options)
        self.source_backwards = options.reverse_source
        inputs = (self.embedding_width, *(options.layers - 1) * (width,))
        self.encoder = nn.ModuleList(LSTMLayer(size, width) for size in inputs)
        self.decoder = nn.ModuleList(LSTMLayer(size, width) for size in inputs)
        self.output = nn.Linear(width, problem.num_outputs)
        draw_uniform(self, self.BOUND)

    def encode(self, source: Ordered, max_length: int | None) -> tuple[LSTMState, ...]:
        start = (None,) * len(self.encoder)
        return self._run(self.encoder, self.read(source), start, source.lengths_B)[1]

    def decode(self, tokens_BT: Tensor, state: tuple[LSTMState, ...]) -> Tensor:
        return self._run(self.decoder, self.write(tokens_BT), state)[0]

    def advance(
        self, token_B: Tensor, state: tuple[LSTMState, ...]
    ) -> tuple[Tensor, tuple[LSTMState, ...]]:
        h_B1E, state = self._run(self.decoder, self.write(token_B[:, None]), state)
        return h_B1E[:, 0], state

    def _run(
        self,
        layers: nn.ModuleList,
        x_BTD: Tensor,
        start: tuple[Any, ...],
        lengths_B: Tensor | None = None,
    ) -> tuple[Tensor, tuple[LSTMState, ...]]:
        states = []
        for layer, before in zip(layers, start):
            h_BTE, after = layer(x_BTD, before, lengths_B)
            x_BTD = self.dropout(h_BTE)
            states.append(after)
        return x_BTD, tuple(states)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("fused",) * (2 * len(self.encoder))

    def flops(self, length: int) -> int:
        layers = [*self.encoder, *self.decoder]
        work = sum(layer.flops(length) for layer in layers)  # pyright: ignore
        return work + 2 * length * self.output.weight.numel()

    def state_bytes(self, length: int) -> int:
        return 2 * len(self.decoder) * self.width * self.number_bytes()

    def serial_steps(self, length: int) -> int:
        """Up the encoder, each layer an input product and a recurrence. A layer of the decoder
        begins where the encoder's has ended, beside the encoder's next: one recurrence more."""
        layers = len(self.encoder)
        return layers + (layers + 1) * LSTMLayer.SERIAL_STEPS * length


class GRUBridge(NamedTuple):
    """h_BE the decoder's state; context_BE the vector c of the source."""

    h_BE: Tensor
    context_BE: Tensor


class Seq2SeqGRU(RecurrentEncoderDecoder):
    """One layer each. Dropout, absent from the paper, lies on embeddings and before G."""

    equation = """
        c    = tanh(V h_S)
        h'_0 = tanh(V' c)
        r, z = sigmoid(W' e(y_{t-1}) + U' h'_{t-1} + C c)
        n    = tanh(W' e(y_{t-1}) + r * (U' h'_{t-1} + C c))
        h'_t = z * h'_{t-1} + (1 - z) * n
        s    = maxout(O_h h'_t + O_y e(y_{t-1}) + O_c c),   p(y_t | ...) = softmax(G s + b)
    """
    complexity = _COMPLEXITY

    def __init__(self, problem: Problem, width: int, options: RecurrentOptions) -> None:
        super().__init__(problem, width, options)
        inputs, half = self.embedding_width, (width + 1) // 2
        self.encoder = GRULayer(inputs, width)
        self.summary = nn.Linear(width, width)  # V
        self.first = nn.Linear(width, width)  # V'
        self.input = nn.Linear(inputs, 3 * width)  # W'
        self.context = nn.Linear(width, 3 * width)  # C; its bias of n is inside the reset gate
        self.recurrent_FE = nn.Parameter(torch.empty(3 * width, width))  # U'
        self.readout = nn.Linear(2 * width + inputs, 2 * half)  # O_h, O_y, O_c
        self.output = nn.Linear(half, problem.num_outputs)  # G
        draw_as_groundhog(self)

    def encode(self, source: Ordered, max_length: int | None) -> GRUBridge:
        _, last_BE = self.encoder(self.read(source), source.lengths_B)
        context_BE = self.summary(last_BE).tanh()
        h_BE = self.first(context_BE).tanh()
        return GRUBridge(h_BE.to(last_BE.dtype), context_BE.to(last_BE.dtype))

    def decode(self, tokens_BT: Tensor, state: GRUBridge) -> Tensor:
        e_BTD = self.write(tokens_BT)
        context_BF = self.context(state.context_BE)
        h_BE, states = state.h_BE, []
        for x_BF in self.input(e_BTD).unbind(1):
            h_BE = self._cell(x_BF, context_BF, h_BE)
            states.append(h_BE)
        c_BTE = state.context_BE[:, None].expand(-1, len(states), -1)
        return self._read_out(torch.stack(states, 1), e_BTD, c_BTE)

    def advance(self, token_B: Tensor, state: GRUBridge) -> tuple[Tensor, GRUBridge]:
        e_BD, c_BE = self.write(token_B), state.context_BE
        h_BE = self._cell(self.input(e_BD), self.context(c_BE), state.h_BE)
        return self._read_out(h_BE, e_BD, c_BE), GRUBridge(h_BE, c_BE)

    def _cell(self, x_BF: Tensor, context_BF: Tensor, h_BE: Tensor) -> Tensor:
        """No library kernel adds a different vector to each row's recurrent product."""
        inner_BF = nn.functional.linear(h_BE, self.recurrent_FE) + context_BF
        x_both, x_n = x_BF.split((2 * self.width, self.width), 1)
        inner_both, inner_n = inner_BF.split((2 * self.width, self.width), 1)
        r_BE, z_BE = (x_both + inner_both).sigmoid().chunk(2, 1)
        n_BE = torch.addcmul(x_n, r_BE, inner_n).tanh()
        return n_BE + z_BE * (h_BE - n_BE)

    def _read_out(self, h: Tensor, e: Tensor, c: Tensor) -> Tensor:
        return self.dropout(maxout(self.readout(torch.cat((h, e, c), -1))))

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("stepwise", "loop")

    def flops(self, length: int) -> int:
        once = (self.summary, self.first, self.context)
        each = (self.input, self.readout, self.output)
        products = sum(m.weight.numel() for m in each) + self.recurrent_FE.numel()
        decoder = length * (2 * products + 8 * self.width)  # sums of gates, r u, the mixture
        return self.encoder.flops(length) + decoder + 2 * sum(m.weight.numel() for m in once)

    def state_bytes(self, length: int) -> int:
        return 2 * self.width * self.number_bytes()

    def serial_steps(self, length: int) -> int:
        """Encoder, bridge, decoder (product, sum, sum, sigmoid, [multiply and add], tanh,
        difference, product, sum), readout."""
        return 1 + GRULayer.SERIAL_STEPS * length + 4 + 9 * length + 3
