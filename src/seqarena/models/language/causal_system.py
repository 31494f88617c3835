"""Systems that answer every position from a fixed stretch of the past, whose state is that stretch.

    logits_BTV, state = system(inputs_BT, state, mask_BT=mask_BT)

The same contract as a language model's: any T, a state continues exactly where the call stopped,
padding changes nothing and moves no state.
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.models.model import StatefulModel, System
from seqarena.ops.history import over_real_positions


class PastState(NamedTuple):
    """The last inputs of every layer, [B, P, D] each: zeros before the sequence's start."""

    layers: tuple[Tensor, ...]


class CausalSystem(System, StatefulModel):
    """Abstract: subclasses embed, mix along time and answer, and say how much past each layer
    keeps."""

    @property
    @abstractmethod
    def pasts(self) -> tuple[tuple[int, int], ...]:
        """(positions, features) of the past that each layer keeps, from the input on."""

    @abstractmethod
    def embed(self, inputs_BT: Tensor) -> Tensor:
        """Tokens [B, T], or features [B, T, F], to vectors [B, T, D]."""

    @abstractmethod
    def mix(
        self, x_BTD: Tensor, state: PastState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, PastState]:
        """The layers, on rows whose real positions stand first (see ops/history.py)."""

    @abstractmethod
    def head(self, y_BTD: Tensor) -> Tensor:
        """What `mix` gives to logits [..., V]."""

    @property
    def receptive_field(self) -> int:
        """Positions that an answer depends on: its own and those before it, exactly."""
        return 1 + sum(positions for positions, _ in self.pasts)

    def reach(self) -> float:
        return self.receptive_field - 1

    def initial_state(self, batch_size: int, max_length: int = 0) -> PastState:
        """Before the first position; its size is the same for any `max_length`."""
        weight = next(self.parameters())
        return PastState(tuple(weight.new_zeros(batch_size, p, d) for p, d in self.pasts))

    def forward(
        self,
        inputs_BT: Tensor,
        state: PastState | None = None,
        *,
        mask_BT: Tensor | None = None,
    ) -> tuple[Tensor, PastState]:
        """Tokens [B, T] or features [B, T, F] -> (logits [B, T, V], state)."""
        y_BTD, after = over_real_positions(
            lambda x_BTD, lengths_B: self.mix(x_BTD, state, lengths_B),
            self.embed(inputs_BT),
            mask_BT,
        )
        return self.head(y_BTD), after

    def answer(self, batch: Batch) -> Tensor:
        return self(batch.inputs_BT, mask_BT=batch.mask_BT)[0]

    def state_bytes(self, length: int) -> int:
        weight = next(self.parameters())
        return weight.element_size() * sum(p * d for p, d in self.pasts)


def layer_pasts(state: PastState | None, count: int) -> tuple[Tensor | None, ...]:
    """The past of each of `count` layers; None before a sequence's start."""
    return (None,) * count if state is None else state.layers


def real_positions(lengths_B: Tensor, length: int) -> Tensor:
    """1 at the first `lengths_B[b]` of `length` positions, else 0: [B, T, 1]."""
    steps_T = torch.arange(length, device=lengths_B.device)
    return (steps_T < lengths_B[:, None])[..., None]
