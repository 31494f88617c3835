"""LRU: a linear recurrence whose complex decays cannot leave the unit disk.

Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu and De 2023, "Resurrecting Recurrent Neural Networks
for Long Sequences", arXiv:2303.06349, section 3 and appendix A.

    a   = exp(-exp(nu) + i exp(theta))             one complex decay a state, |a| < 1
    h_t = a h_{t-1} + exp(gamma) (B x_t)           gamma starts at log sqrt(1 - |a|^2)
    y_t = Re(C h_t) + skip x_t

Glossary: nu, theta and gamma are the listing's nu_log, theta_log and gamma_log, skip its D. The
channel mixer of the stack stands where the paper's block has its MLP or GLU.

Letters: D width, N complex states.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import MixerConfig
from seqarena.mixers.state_space.dense_diagonal import DenseDiagonalMixer

_INSIDE = 1e-6  # how near random numbers come to 0 and 1, whose logarithms are infinite


class LRUConfig(MixerConfig):
    """The ring and the angle in which the decays begin; the defaults are the listing's."""

    state_size: int | None = Field(default=None, ge=1)  # N; None: the width
    smallest_radius: float = Field(default=0.0, ge=0, le=1)
    largest_radius: float = Field(default=1.0, gt=0, le=1)
    largest_angle: float = Field(default=6.28, gt=0)


class LRU(DenseDiagonalMixer):
    """The linear recurrent unit.

    Initialised as the listing: decays uniform on a ring (in its area) and in their angle, B normal
    of variance 1 / (2 D) a part, C of variance 1 / N a part, the skip of variance 1.
    """

    Config = LRUConfig
    equation: ClassVar[str] = """\
a   = exp(-exp(nu) + i exp(theta))             one complex decay a state, |a| < 1
h_t = a h_{t-1} + exp(gamma) (B x_t)           gamma starts at log sqrt(1 - |a|^2)
y_t = Re(C h_t) + skip x_t"""

    def __init__(self, width: int, config: LRUConfig) -> None:
        super().__init__(width, config, config.state_size or width)
        low, high = config.smallest_radius, config.largest_radius
        if low >= high:
            raise UserError(
                f"smallest_radius {low:g} is not below largest_radius {high:g}: swap them"
            )
        nn.init.normal_(self.inward.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(self.outward.weight, std=self.states**-0.5)
        radius_N, angle_N = torch.rand(2, self.states).clamp(_INSIDE, 1 - _INSIDE)
        squares_N = low**2 + (high**2 - low**2) * radius_N
        self.nu = nn.Parameter((-0.5 * squares_N.log()).log())
        self.theta = nn.Parameter((config.largest_angle * angle_N).log())
        self.gamma = nn.Parameter(0.5 * torch.log1p(-squares_N))

    def dynamics(self) -> tuple[Tensor, Tensor]:
        nu_N, theta_N = (at_least_float32(x).exp() for x in (self.nu, self.theta))
        return torch.exp(torch.complex(-nu_N, theta_N)), at_least_float32(self.gamma).exp()
