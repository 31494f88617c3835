"""Sliding-window attention: the local part of Longformer, Beltagy et al. 2020, made causal.

    y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over t - W < c <= t

W positions are in reach, the query's own among them. The state holds the keys and values of the
last W - 1 real positions: its size is fixed.

    B batch   T time   D width   H heads   G groups   E features of a head   W window

    paper     here
    w / 2     window - 1 (the paper looks w / 2 to each side)
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.mixers.attention.attention import HeadProjections, slot_values
from seqarena.mixers.base import Complexity, Mixer, MixerConfig, Watched
from seqarena.ops.attention import window_attention
from seqarena.ops.padding import take_last


class SlidingWindowConfig(MixerConfig):
    """`window` counts the positions in reach with the query's own."""

    window: int = 64
    num_heads: int = 4
    num_groups: int | None = None
    positions: Literal["none", "rotary"] = "rotary"
    rotary_base: float = 10_000.0
    bias: bool = False


class WindowState(NamedTuple):
    """The last W - 1 positions, right-aligned: slots before the sequence's start hold zeros."""

    k_BCGE: Tensor  # C = W - 1
    v_BCGE: Tensor
    position: int | Tensor  # real positions so far; [B] once padding made rows differ


class SlidingWindow(Watched, Mixer):
    """Softmax attention over the last W positions. Slots of its weights: W - 1 of history, free
    before the sequence's start, then those of the call."""

    Config = SlidingWindowConfig
    operation = window_attention
    equation: ClassVar[str] = (
        "y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over t - W < c <= t"
    )
    complexity = Complexity(
        work="T W D + T D^2", serial_steps="1", path_length="T / W", state="W D"
    )

    def __init__(self, width: int, config: SlidingWindowConfig) -> None:
        super().__init__(width, config)
        if config.window < 2:
            raise UserError(f"a window of {config.window} sees no other position: use at least 2")
        self.window = config.window
        groups = config.num_heads if config.num_groups is None else config.num_groups
        rotary_base = config.rotary_base if config.positions == "rotary" else None
        self.projections = HeadProjections(
            width, config.num_heads, groups, config.bias, rotary_base
        )

    def mix(
        self, x_BTD: Tensor, state: WindowState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, WindowState]:
        B, T = x_BTD.shape[:2]
        history = self.window - 1
        if state is None:
            state = self._nothing(x_BTD, B)
        position = state.position
        q_BTHE, k_BTGE, v_BTGE = self.projections.split(x_BTD, position)
        k_BCGE = torch.cat((state.k_BCGE, k_BTGE), dim=1)
        v_BCGE = torch.cat((state.v_BCGE, v_BTGE), dim=1)
        if isinstance(position, int):
            empty = max(0, history - position)
        else:
            empty = (history - position).clamp(min=0)
        if self.watcher is not None:
            ones_BCGC = slot_values(k_BCGE.transpose(1, 2)).transpose(1, 2)
            weights_BTHC = window_attention(
                q_BTHE, k_BCGE, ones_BCGC, self.window, "explicit", empty
            )
            self.watcher(weights_BTHC.transpose(1, 2))
        y_BTHE = window_attention(q_BTHE, k_BCGE, v_BCGE, self.window, self.algorithm, empty)
        ends_B = None if lengths_B is None else history + lengths_B
        k_BCGE, v_BCGE = take_last(k_BCGE, ends_B, history), take_last(v_BCGE, ends_B, history)
        if T > 1:  # a view would keep all T positions alive
            k_BCGE, v_BCGE = k_BCGE.clone(), v_BCGE.clone()
        position = position + (T if lengths_B is None else lengths_B)
        return self.projections.merge(y_BTHE), WindowState(k_BCGE, v_BCGE, position)

    def initial_state(self, batch_size: int, max_length: int = 0) -> WindowState:
        return self._nothing(self.projections.inward.weight, batch_size)

    def _nothing(self, like: Tensor, batch_size: int) -> WindowState:
        size = (self.window - 1, self.projections.num_groups, self.projections.features)
        empty_BCGE = like.new_zeros(batch_size, *size)
        return WindowState(empty_BCGE, empty_BCGE, 0)

    def flops(self, length: int) -> int:
        inside = min(length, self.window)
        pairs = inside * (inside + 1) // 2 + (length - inside) * self.window
        return self.projections.flops(length) + self.projections.pair_flops(pairs)

    def state_bytes(self, length: int) -> int:
        return self.projections.cache_bytes(self.window - 1)

    def serial_steps(self, length: int) -> int:
        # project, attend, project; rotating comes between
        return self.algorithm_steps(length) + (2 if self.projections.rotary_base is None else 3)

    def path_length(self, distance: int) -> int:
        return -(-distance // (self.window - 1))

    def reach(self) -> float:
        return self.window - 1
