"""Your own architecture: an exponential moving average with a learned decay for each feature.

Hold it against the contract of every mixer, rank it, or do both from Python:

    seqarena check examples/own_mixer.py:EMA
    seqarena compare my_text.txt --models gru,attention --mixer examples/own_mixer.py:EMA
    python examples/own_mixer.py my_text.txt

What it computes:

    y_t = a y_{t-1} + (1 - a) x_t        a = sigmoid(decay), one for each feature
"""

import math
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

import seqarena as sa
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.diagonal import linear_recurrence


class EMAState(NamedTuple):
    """The last output, B sequences of D features."""

    y_BD: Tensor


class EMA(Mixer):
    """Every feature forgets at its own rate."""

    Config = MixerConfig
    operation = linear_recurrence  # its algorithms are the mixer's
    equation = "y_t = a y_{t-1} + (1 - a) x_t"
    complexity = Complexity(work="T D", serial_steps="T", path_length="T", state="D")

    def __init__(self, width: int, config: MixerConfig) -> None:
        super().__init__(width, config)
        self.decay_D = nn.Parameter(torch.full((width,), 2.0))

    def mix(
        self, x_BTD: Tensor, state: EMAState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, EMAState]:
        a_BTD = torch.sigmoid(self.decay_D).expand_as(x_BTD)
        b_BTD = (1 - a_BTD) * x_BTD
        if lengths_B is not None:  # beyond a row's length the state stays as it is
            real_BT1 = lengths_to_mask(lengths_B, x_BTD.shape[1])[..., None]
            a_BTD, b_BTD = a_BTD.where(real_BT1, 1.0), b_BTD.where(real_BT1, 0.0)
        start_BD = None if state is None else state.y_BD
        y_BTD = linear_recurrence(a_BTD, b_BTD, start_BD, algorithm=self.algorithm)
        return y_BTD, EMAState(y_BTD[:, -1])

    def initial_state(self, batch_size: int, max_length: int = 0) -> EMAState:
        return EMAState(self.decay_D.new_zeros(batch_size, self.width))

    def flops(self, length: int) -> int:
        return 3 * length * self.width

    def state_bytes(self, length: int) -> int:
        return self.decay_D.element_size() * self.width

    def serial_steps(self, length: int) -> int:
        return 2 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def main(text: str | None = None, tokens: str = "20k") -> sa.Run:
    """Runs the contract suite on it, then ranks it with two architectures of the catalog."""
    place = f"{Path(__file__).resolve()}:EMA"
    for check in sa.check(place):
        print(f"{check.name}: {check.failure or 'holds'}")
    run = sa.compare(
        text,
        models=["mingru", "attention"],
        mixer=place,
        params="30k",
        tokens=tokens,
        rates=(1e-2,),
        seeds=2,
        repeats=0,
        measure=False,
        name="example-own-mixer",
    )
    print(run)
    return run


if __name__ == "__main__":
    main(*sys.argv[1:2])
