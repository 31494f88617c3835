"""Your own nonlinear recurrence, trained for all positions at once instead of one by one.

    seqarena check examples/own_cell.py:Pulse
    seqarena compare my_text.txt --models gru,mingru --mixer examples/own_cell.py:Pulse

What it computes, a gated cell whose features do not see each other's state (as in ParaRNN, Danieli
et al. 2025), so that its Jacobian is diagonal:

    z_t = sigmoid(W_z x_t + u_z h_{t-1}),   n_t = tanh(W_n x_t + u_n h_{t-1})
    h_t = (1 - z_t) h_{t-1} + z_t n_t,      y_t = h_t

The cell is written once, for one step. The loop calls it position by position; `newton` solves for
all positions with `parallel_in_time`, to the same outputs and gradients. What is printed: the
rounds that it took, and the largest difference from the loop.

    python examples/own_cell.py
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.recurrent.newton import recorded_solves
from seqarena.ops.recurrent.parallel_in_time import parallel_in_time


class PulseState(NamedTuple):
    """The last output, B sequences of D features."""

    h_BD: Tensor


class Pulse(Mixer):
    """A gate and a candidate, each feature with its own state."""

    Config = MixerConfig
    algorithms = ("loop", "newton")
    equation = "h_t = (1 - z_t) h_{t-1} + z_t n_t"
    complexity = Complexity(
        work="T D^2", serial_steps="T, or rounds times log T", path_length="T", state="D"
    )

    def __init__(self, width: int, config: MixerConfig) -> None:
        super().__init__(width, config)
        self.into_both = nn.Linear(width, 2 * width)
        self.from_state_2D = nn.Parameter(torch.rand(2, width) - 0.5)

    def cell(self, x_N3D: Tensor, h_ND: Tensor) -> Tensor:
        """One step of N rows. The third part of the input is one where the position is real."""
        x_z, x_n, real = x_N3D.chunk(3, dim=1)
        z_ND = torch.sigmoid(x_z + self.from_state_2D[0] * h_ND) * real
        return torch.lerp(h_ND, torch.tanh(x_n + self.from_state_2D[1] * h_ND), z_ND)

    def mix(
        self, x_BTD: Tensor, state: PulseState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, PulseState]:
        start_BD = (state or self.initial_state(len(x_BTD))).h_BD
        real_BTD = torch.ones_like(x_BTD)
        if lengths_B is not None:  # beyond a row's length the state stays as it is
            real_BTD = real_BTD * lengths_to_mask(lengths_B, x_BTD.shape[1])[..., None]
        x_BT3D = torch.cat((self.into_both(x_BTD), real_BTD), dim=2).to(start_BD.dtype)
        # an exported graph steps: it cannot decide when the rounds are enough
        if self.algorithm == "newton" and not torch.compiler.is_exporting():
            h_BTD = parallel_in_time(self.cell, x_BT3D, start_BD, jacobian="diagonal")
        else:
            h_BD, states = start_BD, []
            for x_B3D in x_BT3D.unbind(1):
                h_BD = self.cell(x_B3D, h_BD)
                states.append(h_BD)
            h_BTD = torch.stack(states, dim=1)
        return h_BTD.to(x_BTD.dtype), PulseState(h_BTD[:, -1].clone())

    def initial_state(self, batch_size: int, max_length: int = 0) -> PulseState:
        dtype = torch.promote_types(self.from_state_2D.dtype, torch.float32)
        return PulseState(self.from_state_2D.new_zeros(batch_size, self.width, dtype=dtype))

    def flops(self, length: int) -> int:
        return length * (4 * self.width**2 + 8 * self.width)

    def state_bytes(self, length: int) -> int:
        return self.width * max(4, self.from_state_2D.element_size())

    def serial_steps(self, length: int) -> int:
        return 1 + 4 * length

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def main(length: int = 4096, width: int = 64) -> tuple[int, float]:
    """Rounds, and the largest difference of outputs and gradients from the loop's, in float64."""
    torch.manual_seed(0)
    mixer = Pulse(width, MixerConfig(algorithm="newton")).double()
    loop = Pulse(width, MixerConfig(algorithm="loop")).double()
    loop.load_state_dict(mixer.state_dict())
    x_BTD = torch.randn(1, length, width, dtype=torch.float64)
    found = []
    with recorded_solves() as solves:
        for each in (mixer, loop):
            y_BTD = each(x_BTD)[0]
            gradients = torch.autograd.grad(y_BTD.square().mean(), list(each.parameters()))
            found.append([y_BTD, *gradients])
    difference = max(float((a - b).detach().abs().max()) for a, b in zip(*found))
    print(f"{length} positions in {solves[0].rounds} rounds; largest difference {difference:.0e}")
    return solves[0].rounds, difference


if __name__ == "__main__":
    main()
