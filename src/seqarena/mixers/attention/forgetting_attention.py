"""Forgetting attention: "Forgetting Transformer: Softmax Attention with a Forget Gate", Lin 2025.

    q, k, v = x W_Q, x W_K, x W_V                       split into heads
    f_t     = sigmoid(w_f . x_t + b_f)                  one gate a head
    y_t     = sum_c softmax_c(q_t . k_c / sqrt(E) + sum_{c < l <= t} log f_l) v_c      over c <= t
    out     = concat(heads) W_O

A gate lowers every score across it, as a recurrent network's gate forgets; with all gates one this
is attention without positions, with constant gates ALiBi. The sum of log-gates from the sequence's
start to t is the same for all scores of a query and leaves the softmax as it is, so that a slot's
bias is minus its own sum, and no T x T matrix of biases is needed.

    B batch   T time   D width   H heads   G groups   E features of a head   C cache slots

    paper     here
    D_ij      the sum over c < l <= t
    c_i       the sum of log f up to i (log_gates_BHC1)

Here is the paper's plain form (FoX on Llama's block); its Pro block adds an output gate and norm,
norms of queries and keys, and shifts of keys and values. Initialisation of the gate: the authors',
normal with deviation 0.02, bias zero.
"""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.mixers.attention.attention import (
    HeadProjections,
    KeyValueCache,
    empty_cache,
    extend_cache,
    filled,
    next_position,
    shortened,
    slot_values,
    written,
)
from seqarena.mixers.base import Complexity, Mixer, MixerConfig, Watched
from seqarena.ops.attention import attention

_GATE_DEVIATION = 0.02


class ForgettingAttentionConfig(MixerConfig):
    """`num_groups` None: every head has its own keys and values. Gates replace positions; rotary
    ones may be added."""

    num_heads: int = 4
    num_groups: int | None = None
    positions: Literal["none", "rotary"] = "none"
    rotary_base: float = 10_000.0
    bias: bool = False


class ForgettingCache(NamedTuple):
    """Keys and values of the past, and for each slot the log-gates summed from the sequence's
    start, at least float32."""

    cache: KeyValueCache
    log_gates_BHC1: Tensor

    def total(self) -> Tensor:
        """The sum at each row's last real position, [B, H, 1]."""
        length, lengths_B = self.cache.length, self.cache.lengths_B
        if length == 0:
            return self.log_gates_BHC1.new_zeros(1)
        if lengths_B is None:
            return self.log_gates_BHC1[:, :, length - 1]
        index = (lengths_B - 1).clamp(min=0)[:, None, None, None]
        index = index.expand(-1, self.log_gates_BHC1.shape[1], 1, 1)
        sum_BH1 = self.log_gates_BHC1.gather(2, index)[..., 0]
        return sum_BH1.where((lengths_B > 0)[:, None, None], 0.0)


class ForgettingAttention(Watched, Mixer):
    """Softmax attention whose scores fall by the forget gates between the two positions."""

    Config = ForgettingAttentionConfig
    rewinds = True
    operation = attention
    equation: ClassVar[str] = """\
q, k, v = x W_Q, x W_K, x W_V                       split into heads
f_t     = sigmoid(w_f . x_t + b_f)                  one gate a head
y_t     = sum_c softmax_c(q_t . k_c / sqrt(E) + sum_{c < l <= t} log f_l) v_c      over c <= t
out     = concat(heads) W_O"""
    complexity = Complexity(work="T^2 D + T D^2", serial_steps="1", path_length="1", state="T D")

    def __init__(self, width: int, config: ForgettingAttentionConfig) -> None:
        super().__init__(width, config)
        groups = config.num_heads if config.num_groups is None else config.num_groups
        rotary_base = config.rotary_base if config.positions == "rotary" else None
        self.projections = HeadProjections(
            width, config.num_heads, groups, config.bias, rotary_base
        )
        self.gate = nn.Linear(width, config.num_heads)
        nn.init.normal_(self.gate.weight, std=_GATE_DEVIATION)
        nn.init.zeros_(self.gate.bias)

    def mix(
        self, x_BTD: Tensor, state: ForgettingCache | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, ForgettingCache]:
        before = None if state is None else state.cache
        heads = self.projections.split(x_BTD, next_position(before))
        q_BHTE, k_BGTE, v_BGTE = (x.transpose(1, 2) for x in heads)
        cache = extend_cache(before, k_BGTE, v_BGTE, lengths_B)
        starts_B = None if before is None else before.lengths_B
        sums_BHC1 = self._summed_log_gates(x_BTD, state)[..., None]
        if state is not None:
            used = state.cache.length
            sums_BHC1 = written(state.log_gates_BHC1, sums_BHC1, used, starts_B)
        k_BGCE, v_BGCE = filled(cache)
        bias_BHC = -sums_BHC1[:, :, : cache.length, 0]

        def attend(values: Tensor, algorithm: str) -> Tensor:
            return attention(
                q_BHTE, k_BGCE, values, algorithm, starts_B=starts_B, bias_BHC=bias_BHC
            )

        if self.watcher is not None:
            self.watcher(attend(slot_values(k_BGCE), "explicit"))
        y_BHTE = attend(v_BGCE, self.algorithm)
        return self.projections.merge(y_BHTE.transpose(1, 2)), ForgettingCache(cache, sums_BHC1)

    def _summed_log_gates(self, x_BTD: Tensor, state: ForgettingCache | None) -> Tensor:
        """The sums at the positions of the call."""
        logit_BHT = self.gate(x_BTD).transpose(1, 2)
        logit_BHT = logit_BHT.to(torch.promote_types(logit_BHT.dtype, torch.float32))
        sums_BHT = F.logsigmoid(logit_BHT).cumsum(-1)
        return sums_BHT if state is None else state.total() + sums_BHT

    def initial_state(self, batch_size: int, max_length: int = 0) -> ForgettingCache:
        weight, H = self.gate.weight, self.projections.num_heads
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return ForgettingCache(
            empty_cache(self.projections, batch_size, max_length),
            weight.new_zeros(batch_size, H, max_length, 1, dtype=dtype),
        )

    def rewound(self, state: ForgettingCache, count: int) -> ForgettingCache:
        return state._replace(cache=shortened(state.cache, count))

    def flops(self, length: int) -> int:
        gates = 2 * length * self.gate.weight.numel()
        pairs = length * (length + 1) // 2
        return self.projections.flops(length) + gates + self.projections.pair_flops(pairs)

    def state_bytes(self, length: int) -> int:
        sums = self.projections.num_heads * length
        return self.projections.cache_bytes(length) + sums * max(4, self.gate.weight.element_size())

    def serial_steps(self, length: int) -> int:
        # project, log-gate, sum, attend, project; rotating is done beside the gates
        return self.algorithm_steps(length) + 4

    def path_length(self, distance: int) -> int:
        return 1

    def reach(self) -> float:
        return math.inf
