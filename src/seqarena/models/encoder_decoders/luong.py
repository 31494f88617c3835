"""Global attention: Luong, Pham and Manning 2015, "Effective approaches to attention-based neural
machine translation", with a_j the encoder's top LSTM layer and h_t the decoder's.

    score = h_t . a_j ("dot"),  h_t . W_a a_j ("general"),  v . tanh(W_a [h_t ; a_j]) ("concat")
    w_tj  = softmax_j(score),   c_t = sum_j w_tj a_j
    g_t   = tanh(W_c [c_t ; h_t]),   p(y_t | ...) = softmax(W_s g_t + b)

The decoder's layers start from the encoder's last states. Its first layer reads
[e(y_{t-1}) ; g_{t-1}] (input feeding, section 3.3) or, without it, e(y_{t-1}) alone: then all
positions are computed together.

    B  examples    S, T  positions    D  embedding    E  hidden    F = 4 E, the rows of i, f, g, o
"""

from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from seqarena.core.batch import Batch, Problem
from seqarena.mixers.base import Complexity
from seqarena.models.encoder_decoders.bridges import (
    AttentiveDecoder,
    LSTMLayer,
    Memory,
    Ordered,
    RecurrentEncoderDecoder,
    RecurrentOptions,
    draw_uniform,
)
from seqarena.models.model import PositionVectors
from seqarena.ops.recurrent.lstm import LSTMState


class LuongOptions(RecurrentOptions):
    """Published: 4 layers of 1000, input feeding, and the source read backwards."""

    layers: int = Field(2, ge=1)
    score: Literal["dot", "general", "concat"] = "general"
    input_feeding: bool = True
    reverse_source: bool = True


class LuongState(NamedTuple):
    """`layers` of the decoder; fed_BE is g_{t-1}, zeros at first."""

    layers: tuple[LSTMState, ...]
    fed_BE: Tensor
    memory: Memory


class Luong(RecurrentEncoderDecoder, AttentiveDecoder):
    """Every weight starts in +-0.1, as published. Dropout lies on what goes up (Zaremba et al.
    2014), as published, and on g_t where it is read out."""

    Options = LuongOptions
    equation = """
        score = h_t . a_j ("dot"),  h_t . W_a a_j ("general"),  v . tanh(W_a [h_t ; a_j]) ("concat")
        w_tj  = softmax_j(score),   c_t = sum_j w_tj a_j
        g_t   = tanh(W_c [c_t ; h_t]),   p(y_t | ...) = softmax(W_s g_t + b)
    """
    complexity = Complexity(
        work="T^2 D + T D^2", serial_steps="T", path_length="T; to the source 1", state="T D"
    )
    BOUND: ClassVar[float] = 0.1

    def __init__(self, problem: Problem, width: int, options: LuongOptions) -> None:
        super().__init__(problem, width, options)
        self.source_backwards = options.reverse_source
        self.feeding = options.input_feeding
        first, above = self.embedding_width, (options.layers - 1) * (width,)
        self.encoder = nn.ModuleList(LSTMLayer(size, width) for size in (first, *above))
        first += width if self.feeding else 0
        self.decoder = nn.ModuleList(LSTMLayer(size, width) for size in (first, *above))
        apart = options.score != "dot"
        self.key = nn.Linear(width, width, bias=False) if apart else nn.Identity()  # W_a
        concat = options.score == "concat"
        self.query = nn.Linear(width, width, bias=False) if concat else nn.Identity()  # W_a
        self.score = nn.Parameter(torch.empty(width)) if concat else None  # v
        self.join = nn.Linear(2 * width, width, bias=False)  # W_c
        self.output = nn.Linear(width, problem.num_outputs)  # W_s
        draw_uniform(self, self.BOUND)

    def encode(self, source: Ordered, max_length: int | None) -> LuongState:
        x_BSD, states = self.read(source), []
        for layer in self.encoder:
            h_BSE, state = layer(x_BSD, None, source.lengths_B)
            x_BSD = self.dropout(h_BSE)
            states.append(state)
        memory = Memory(self.key(x_BSD), x_BSD, source.padding)
        return LuongState(tuple(states), torch.zeros_like(states[-1].h_BE), memory)

    def position_vectors(self, batch: Batch) -> PositionVectors:
        return self.encode(self._source(batch), None).memory.position_vectors()

    def decode(self, tokens_BT: Tensor, state: LuongState) -> Tensor:
        return self.dropout(self._walk(tokens_BT, state)[0])

    def align(self, tokens_BT: Tensor, state: LuongState) -> Tensor:
        return self._walk(tokens_BT, state)[1]

    def advance(self, token_B: Tensor, state: LuongState) -> tuple[Tensor, LuongState]:
        x_BF = self._project(self.write(token_B))
        state, _ = self._step(x_BF, state, self._weights())
        return self.dropout(state.fed_BE), state

    def _walk(self, tokens_BT: Tensor, state: LuongState) -> tuple[Tensor, Tensor]:
        """Attentional vectors g [B, T, E] and weights [B, T, S]."""
        e_BTD = self.write(tokens_BT)
        if not self.feeding:
            for layer, start in zip(self.decoder, state.layers):
                h_BTE, _ = layer(e_BTD, start)
                e_BTD = self.dropout(h_BTE)
            return self._attend(e_BTD, state.memory)
        found, weights = [], self._weights()
        for x_BF in self._project(e_BTD).unbind(1):
            state, weights_BS = self._step(x_BF, state, weights)
            found.append((state.fed_BE, weights_BS))
        g_BTE, weights_BTS = (torch.stack(each, 1) for each in zip(*found))
        return g_BTE, weights_BTS

    def _project(self, e: Tensor) -> Tensor:
        """The embedding's part of the first layer's gates, [..., F]."""
        layer: Any = self.decoder[0]
        return functional.linear(e, layer.input_FD[:, : self.embedding_width], layer.bias_F)

    def _weights(self) -> list[Tensor]:
        """Of each layer, what multiplies [g_{t-1} or the layer below ; its own last output]."""
        layers: list[Any] = list(self.decoder)
        inward = [layers[0].input_FD[:, self.embedding_width :]]
        inward += [layer.input_FD for layer in layers[1:]]
        return [torch.cat((w, layer.recurrent_FE), 1) for w, layer in zip(inward, layers)]

    def _step(
        self, x_BF: Tensor, state: LuongState, weights: list[Tensor]
    ) -> tuple[LuongState, Tensor]:
        """One position: (the state after it, weights [B, S])."""
        below_BE = state.fed_BE if self.feeding else state.fed_BE[:, :0]
        layers: list[Any] = list(self.decoder)
        states = []
        for layer, weight, before in zip(layers, weights, state.layers):
            both = torch.cat((below_BE, before.h_BE), 1)
            product_BF = functional.linear(both, weight, layer.bias_F if states else None)
            after = _gated(product_BF if states else x_BF + product_BF, before)
            below_BE = self.dropout(after.h_BE)
            states.append(after)
        g_BE, weights_BS = self._attend(below_BE, state.memory)
        return LuongState(tuple(states), g_BE.to(state.fed_BE.dtype), state.memory), weights_BS

    def _attend(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """h [B, (T,) E] -> (g of the same shape, weights [B, (T,) S])."""
        if self.score is not None:
            keys = memory.keys_BSE if h.dim() == 2 else memory.keys_BSE[:, None]
            score = (self.query(h)[..., None, :] + keys).tanh() @ self.score
        elif h.dim() == 2:
            score = (memory.keys_BSE @ h.to(memory.keys_BSE.dtype)[..., None])[..., 0]
        else:
            score = h @ memory.keys_BSE.transpose(1, 2)
        weights, context = memory.average(score)
        return self.join(torch.cat((context, h), -1)).tanh(), weights

    @property
    def algorithms(self) -> tuple[str, ...]:
        decoder = ("loop",) if self.feeding else ("fused",) * len(self.decoder)
        return ("fused",) * len(self.encoder) + decoder

    def flops(self, length: int) -> int:
        """Besides products: scores (dot 2 E; concat sum and product, 3 E) and averages (2 E)."""
        layers: list[Any] = [*self.encoder, *self.decoder]
        each = [m for m in (self.key, self.query, self.join, self.output) if hasattr(m, "weight")]
        products = sum(m.weight.numel() for m in each)  # pyright: ignore
        pairs = length * length * (4 if self.score is None else 5) * self.width
        return sum(layer.flops(length) for layer in layers) + pairs + 2 * length * products

    def state_bytes(self, length: int) -> int:
        """The layers' states and g, keys and annotations, which source positions are padding."""
        numbers = 2 * len(self.decoder) + 1 + 2 * length
        return numbers * self.width * self.number_bytes() + length

    def serial_steps(self, length: int) -> int:
        """Encoder, keys, decoder, attention (score, softmax, average, product, tanh; of concat
        three more), logits."""
        attention = 5 if self.score is None else 8
        layers = len(self.encoder) * (1 + LSTMLayer.SERIAL_STEPS * length)
        attending = attention * length if self.feeding else attention
        return 2 * layers + 1 + attending + 1


def _gated(gates_BF: Tensor, before: LSTMState) -> LSTMState:
    """The recurrence of an LSTM from its gates' arguments."""
    i_BE, f_BE, g_BE, o_BE = gates_BF.to(before.c_BE.dtype).chunk(4, 1)
    c_BE = f_BE.sigmoid() * before.c_BE + i_BE.sigmoid() * g_BE.tanh()
    return LSTMState(o_BE.sigmoid() * c_BE.tanh(), c_BE)
