"""The Transformer as an encoder-decoder: Vaswani et al. 2017, "Attention is all you need".

    encoder layer   x = N(x + SelfAttention(x));  x = N(x + FeedForward(x))
    decoder layer   the same, its self-attention causal, between the two
                    x = N(x + CrossAttention(x, source))
    SelfAttention   softmax(Q K' / sqrt(features)) V in each head, heads joined by W_O
    FeedForward     W_2 max(0, W_1 x + b_1) + b_2
    input           sqrt(D) E[token] + sinusoids;   logits E' x, the same E (section 3.4)

"post" norm is the published one; "pre" is x + SelfAttention(N(x)) with a norm after the last layer.
`transformer_modern` has RMSNorm before (Xiong et al. 2020; Zhang & Sennrich 2019), rotary positions
in self-attention (Su et al. 2021) and SwiGLU (Shazeer 2020).

    B  examples    S, T  positions    D  width    H  heads    E  features of a head    I = H E
    C  slots of a cache

    paper          here
    N, d_model     layers, width
    h, d_k = d_v   num_heads, E = ceil(D / H), even for rotary: D / H wherever that is whole
    d_ff           hidden_width: None is 4 D, of gated 8/3 D
    P_drop         dropout, on the sum at the input and on what each sublayer adds
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.batch import Problem
from seqarena.mixers.base import Complexity
from seqarena.models.encoder_decoders.bridges import AttentiveDecoder, Ordered
from seqarena.models.encoder_decoders.transformer_layers import (
    DecoderLayer,
    EncoderLayer,
    Parts,
    SelfAttention,
    TransformerOptions,
    draw_xavier,
    norm,
)
from seqarena.ops.attention.shared import attention_weights
from seqarena.ops.positions import sinusoidal_positions


class DecoderState(NamedTuple):
    """Of each decoder layer: its state over the target so far, keys and values of the source."""

    position: int
    target: tuple[Any, ...]
    source: tuple[tuple[Tensor, Tensor], ...]
    real_BS: Tensor


class Transformer(AttentiveDecoder):
    """Matrices start Xavier uniform, the embedding from N(0, 1/D), as in the authors' code."""

    Options = TransformerOptions
    equation = """
        encoder layer   x = N(x + SelfAttention(x));  x = N(x + FeedForward(x))
        decoder layer   the same, its self-attention causal, between the two
                        x = N(x + CrossAttention(x, source))
        SelfAttention   softmax(Q K' / sqrt(features)) V in each head, heads joined by W_O
        FeedForward     W_2 max(0, W_1 x + b_1) + b_2
        input           sqrt(D) E[token] + sinusoids;   logits E' x, the same E
    """
    complexity = Complexity(work="T^2 D + T D^2", serial_steps="1", path_length="1", state="T D")
    dial = "hidden_width"

    def __init__(
        self,
        problem: Problem,
        width: int,
        options: TransformerOptions,
        parts: Parts | None = None,
    ) -> None:
        """`parts` None: self-attention in every layer."""
        super().__init__(problem, width, options)
        parts = parts or Parts(*[lambda number: SelfAttention(width, options)] * 2)
        self.target_tokens = nn.Embedding(problem.vocab_size, width)
        one = options.share and problem.shared_vocabulary
        self.source_tokens = (
            self.target_tokens if one else nn.Embedding(problem.source_vocab_size, width)
        )
        numbers = range(options.layers)
        self.encoder = nn.ModuleList(
            EncoderLayer(width, options, parts.reading(n)) for n in numbers
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(width, options, parts.writing(n)) for n in numbers
        )
        pre = options.norm_position == "pre"
        self.encoder_norm = norm(width, options) if pre else nn.Identity()
        self.decoder_norm = norm(width, options) if pre else nn.Identity()
        tied = options.share and problem.num_outputs == problem.vocab_size
        self.output = nn.Linear(width, problem.num_outputs, bias=not tied)
        draw_xavier(self)
        for table in dict.fromkeys((self.source_tokens, self.target_tokens)):
            nn.init.normal_(table.weight, std=width**-0.5)
        if tied:
            self.output.weight = self.target_tokens.weight
        self.dropout = nn.Dropout(options.dropout)

    def encode(self, source: Ordered, max_length: int | None) -> DecoderState:
        x_BSD = self._place(self.source_tokens(source.tokens_BT), 0)
        real_BS = ~source.padding
        lengths_B = real_BS.sum(1)
        for layer in self.encoder:
            x_BSD = layer(x_BSD, lengths_B)
        x_BSD = self.encoder_norm(x_BSD)
        layers: list[Any] = list(self.decoder)
        # a whole target needs no room for keys and values: it comes with all of them at once
        room = () if max_length is None else (x_BSD.shape[0], max_length)
        return DecoderState(
            0,
            tuple(layer.own.room(*room) for layer in layers) if room else (),
            tuple(layer.source.keys_and_values(x_BSD) for layer in layers),
            real_BS,
        )

    def decode(self, tokens_BT: Tensor, state: DecoderState) -> Tensor:
        x_BTD = self._place(self.target_tokens(tokens_BT), 0)
        for layer, memory in zip(self.decoder, state.source):
            x_BTD, _ = layer(x_BTD, None, memory, state.real_BS)
        return self.decoder_norm(x_BTD)

    def align(self, tokens_BT: Tensor, state: DecoderState) -> Tensor:
        """Of the last layer, the mean of its heads."""
        x_BTD = self._place(self.target_tokens(tokens_BT), 0)
        layers: list[Any] = list(self.decoder)
        for layer, memory in zip(layers[:-1], state.source):
            x_BTD, _ = layer(x_BTD, None, memory, state.real_BS)
        layer, (k_BHSE, _) = layers[-1], state.source[-1]
        x_BTD, _ = layer.after_own(x_BTD, None)
        q_BHTE = layer.source.queries(layer.source_norm.before(x_BTD))
        return attention_weights(q_BHTE, k_BHSE, state.real_BS[:, None, None]).mean(1)

    def advance(self, token_B: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        x_B1D = self._place(self.target_tokens(token_B[:, None]), state.position)
        caches = []
        for layer, cache, memory in zip(self.decoder, state.target, state.source):
            x_B1D, cache = layer(x_B1D, cache, memory, state.real_BS)
            caches.append(cache)
        state = state._replace(position=state.position + 1, target=tuple(caches))
        return self.decoder_norm(x_B1D)[:, 0], state

    def _place(self, x_BTD: Tensor, start: int) -> Tensor:
        x_BTD = x_BTD * math.sqrt(self.width)
        if self.options.positions == "sinusoidal":
            position_T = torch.arange(start, start + x_BTD.shape[1], device=x_BTD.device)
            x_BTD = x_BTD + sinusoidal_positions(position_T, self.width, dtype=x_BTD.dtype)
        return self.dropout(x_BTD)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return tuple(layer.own.algorithm for layer in self._layers)

    @property
    def _layers(self) -> list[Any]:
        return [*self.encoder, *self.decoder]

    def flops(self, length: int) -> int:
        layers = self._layers
        return sum(x.flops(length) for x in layers) + 2 * length * self.output.weight.numel()

    def state_bytes(self, length: int) -> int:
        """Keys and values of the source, the state over the target, which source positions are
        real."""
        layers: list[Any] = list(self.decoder)
        source = 2 * length * layers[0].source.inner * self.output.weight.element_size()
        return sum(layer.own.state_bytes(length) + source for layer in layers) + length

    def serial_steps(self, length: int) -> int:
        """Cross-attention: project, score, softmax, average, project. A feed-forward layer: 3."""
        own = sum(layer.own.serial_steps(length) for layer in self._layers)
        return own + 3 * len(self.encoder) + (5 + 3) * len(self.decoder)
