"""Sliding-window attention, alone, with global first positions, or with attention sinks.

    y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over t - W < c <= t
                                                        and over c < S

W positions are in reach, the query's own among them, and the first S ones whatever their distance.
The state holds the keys and values of these S and of the last W - 1 real positions: its size is
fixed.

    B batch   T time   D width   H heads   G groups   E features of a head
    W window  S first positions that stay in sight

`sliding_window` is the local part of Longformer made causal: S = 0. Two more rows have S > 0:

- `longformer`, "Longformer: The Long-Document Transformer", Beltagy et al. 2020. Its global tokens
  see all and are seen by all; those after a position are hidden here. Then only first positions
  carry to all others, and cannot collect from later ones. Left out: the second set of projections
  that the paper gives global tokens, which here only their own S queries would use; dilation.
- `attention_sinks`, "Efficient Streaming Language Models with Attention Sinks", Xiao et al. 2024:
  the softmax must put weight somewhere, and trained models put it on the first positions. Rotary
  positions are places in the cache of S + W (section 3.2): distances inside the window are true,
  and a query is never farther from a first position than S + W - 1 places.

`learned_sink` is the sink of gpt-oss (OpenAI 2025): instead of a position, each head has a score of
its own that joins the softmax and has no value.

    Beltagy et al.     here                  Xiao et al.        here
    w / 2              window - 1            start_size         num_first
    global tokens      num_first             recent_size        window

    gpt-oss            here
    sinks              sinks_H
"""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.attention.attention import HeadProjections
from seqarena.mixers.base import Complexity, Mixer, MixerConfig, Watched
from seqarena.ops.attention import FirstSlots, window_attention
from seqarena.ops.padding import take_last
from seqarena.ops.positions import rotate, rotation_at

_SINK_DEVIATION = 0.02  # of the learned sinks at the start, as in gpt-oss


class SlidingWindowConfig(MixerConfig):
    """`window` counts the positions in reach with the query's own, `num_first` the first positions
    that stay in sight. Positions `cache` are rotary by the place in the cache. `learned_sink` adds
    a score of each head to its softmax."""

    window: int = 64
    num_first: int = Field(default=0, ge=0)
    num_heads: int = 4
    num_groups: int | None = None
    positions: Literal["none", "rotary", "cache"] = "rotary"
    rotary_base: float = 10_000.0
    learned_sink: bool = False
    bias: bool = False


class WindowState(NamedTuple):
    """The first S positions, then the last W - 1, right-aligned. No query sees a free slot."""

    k_BCGE: Tensor  # C = S + W - 1
    v_BCGE: Tensor
    position: int | Tensor  # real positions so far; [B] once padding made rows differ


class SlidingWindow(Watched, Mixer):
    """Softmax attention over the last W positions and the first S. Slots of its weights: S first
    positions of earlier calls, W - 1 of history (free before the sequence's start), then those of
    the call. What a learned sink takes of a row is missing from its sum."""

    Config = SlidingWindowConfig
    operation = window_attention
    equation: ClassVar[str] = (
        "y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over t - W < c <= t"
    )
    complexity = Complexity(
        work="T W D + T D^2", serial_steps="1", path_length="T / W", state="W D"
    )

    @classmethod
    def equation_of(cls, config: MixerConfig) -> str:
        assert isinstance(config, SlidingWindowConfig)
        return cls.equation + (", and over c < S" if config.num_first else "")

    @classmethod
    def complexity_of(cls, config: MixerConfig) -> Complexity:
        assert isinstance(config, SlidingWindowConfig)
        if config.num_first == 0:
            return cls.complexity
        return cls.complexity._replace(work="T (W + S) D + T D^2", state="(W + S) D")

    def __init__(self, width: int, config: SlidingWindowConfig) -> None:
        super().__init__(width, config)
        if config.window < 2:
            raise UserError(f"a window of {config.window} sees no other position: use at least 2")
        self.window, self.num_first = config.window, config.num_first
        self.positions = config.positions
        groups = config.num_heads if config.num_groups is None else config.num_groups
        rotary_base = None if config.positions == "none" else config.rotary_base
        self.projections = HeadProjections(
            width, config.num_heads, groups, config.bias, rotary_base
        )
        self.sinks_H = nn.Parameter(torch.empty(config.num_heads)) if config.learned_sink else None
        if self.sinks_H is not None:
            nn.init.normal_(self.sinks_H, std=_SINK_DEVIATION)

    def mix(
        self, x_BTD: Tensor, state: WindowState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, WindowState]:
        B, T = x_BTD.shape[:2]
        history = self.window - 1
        if state is None:
            state = self._nothing(x_BTD, B)
        position = state.position
        q_BTHE, k_BTGE, v_BTGE = self.projections.split(x_BTD, position)
        k_BSGE, past_k = state.k_BCGE.split((self.num_first, history), dim=1)
        v_BSGE, past_v = state.v_BCGE.split((self.num_first, history), dim=1)
        k_BSGE = _first_slots(k_BSGE, k_BTGE, position)
        v_BSGE = _first_slots(v_BSGE, v_BTGE, position)
        k_BCGE, v_BCGE = torch.cat((past_k, k_BTGE), dim=1), torch.cat((past_v, v_BTGE), dim=1)
        first = FirstSlots(self._met_by_first(q_BTHE, position), k_BSGE, v_BSGE, position)
        if isinstance(position, int):
            empty = max(0, history - position)
        else:
            empty = (history - position).clamp(min=0)

        def attend(values: Tensor, first_values: Tensor, algorithm: str) -> Tensor:
            beside = first._replace(v_BSGE=first_values) if self.num_first else None
            return window_attention(
                q_BTHE, k_BCGE, values, self.window, algorithm, empty, beside, self.sinks_H
            )

        if self.watcher is not None:
            columns = self._columns(k_BCGE, T, position)
            self.watcher(attend(*columns, "explicit").transpose(1, 2))
        y_BTHE = attend(v_BCGE, v_BSGE, self.algorithm)
        ends_B = None if lengths_B is None else history + lengths_B
        # `cat` copies: a view would keep all T positions alive
        k_BCGE = torch.cat((k_BSGE, take_last(k_BCGE, ends_B, history)), dim=1)
        v_BCGE = torch.cat((v_BSGE, take_last(v_BCGE, ends_B, history)), dim=1)
        position = position + (T if lengths_B is None else lengths_B)
        return self.projections.merge(y_BTHE), WindowState(k_BCGE, v_BCGE, position)

    def _met_by_first(self, q_BTHE: Tensor, position: int | Tensor) -> Tensor:
        """The queries as the first positions meet them: by places in the cache, those that lie
        beyond its end are turned back to its last place."""
        base, end = self.projections.rotary_base, self.num_first + self.window - 1
        T, E = q_BTHE.shape[1], q_BTHE.shape[3]
        within = isinstance(position, int) and position + T - 1 <= end
        if self.positions != "cache" or base is None or within:
            return q_BTHE
        start = position if isinstance(position, int) else position[:, None]
        place = start + torch.arange(T, device=q_BTHE.device)
        return rotate(q_BTHE, rotation_at((end - place).clamp(max=0), E, base, q_BTHE.dtype))

    def _columns(
        self, k_BCGE: Tensor, length: int, position: int | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values whose weighted means are the weights: each slot of the window has a one in a
        column of its own, and so have the first slots, but for those that this call fills: they
        share the column that they have in the window."""
        (B, C, G, _), S, device = k_BCGE.shape, self.num_first, k_BCGE.device
        columns = torch.eye(S + C, dtype=k_BCGE.dtype, device=device)
        slot_S = torch.arange(S, device=device)
        step = slot_S - (position if isinstance(position, int) else position[:, None])
        in_call = (step >= 0) & (step < length)
        own = torch.where(in_call, S + self.window - 1 + step, slot_S)
        first = columns[own].expand(B, S, S + C)[:, :, None].expand(-1, -1, G, -1)
        return columns[S:, None].expand(B, -1, G, -1), first

    def initial_state(self, batch_size: int, max_length: int = 0) -> WindowState:
        return self._nothing(self.projections.inward.weight, batch_size)

    def _nothing(self, like: Tensor, batch_size: int) -> WindowState:
        size = (
            self.num_first + self.window - 1,
            self.projections.num_groups,
            self.projections.features,
        )
        empty_BCGE = like.new_zeros(batch_size, *size)
        return WindowState(empty_BCGE, empty_BCGE, 0)

    def flops(self, length: int) -> int:
        inside = min(length, self.window)
        pairs = inside * (inside + 1) // 2 + (length - inside) * self.window
        behind = max(0, length - self.window)  # queries that have first positions behind the window
        few = min(behind, self.num_first)
        pairs += few * (few + 1) // 2 + (behind - few) * self.num_first
        return self.projections.flops(length) + self.projections.pair_flops(pairs)

    def state_bytes(self, length: int) -> int:
        return self.projections.cache_bytes(self.num_first + self.window - 1)

    def serial_steps(self, length: int) -> int:
        # project, attend, project; rotating comes between, by places in the cache twice
        rotations = {"none": 0, "rotary": 1, "cache": 2}[self.positions]
        return self.algorithm_steps(length) + 2 + rotations

    def path_length(self, distance: int) -> int:
        # first positions see nothing that is later, so that they are on no other path
        return -(-distance // (self.window - 1))

    def reach(self) -> float:
        return math.inf if self.num_first else self.window - 1


def _first_slots(old_BSGE: Tensor, new_BTGE: Tensor, position: int | Tensor) -> Tensor:
    """The first S positions, with those that the T of a call from `position` on fill."""
    S, T = old_BSGE.shape[1], new_BTGE.shape[1]
    if isinstance(position, int):
        new_BTGE = new_BTGE[:, : max(0, S - position)]
        free = old_BSGE[:, position + new_BTGE.shape[1] :]
        return torch.cat((old_BSGE[:, :position], new_BTGE, free), dim=1)
    step_BS = torch.arange(S, device=position.device) - position[:, None]
    index = step_BS.clamp(0, T - 1)[..., None, None].expand_as(old_BSGE)
    taken_BSGE = new_BTGE.gather(1, index)  # beyond the call's end free slots, which no query sees
    return taken_BSGE.where((step_BS >= 0)[..., None, None], old_BSGE)
