"""S5: one state space for all features together, computed by a scan.

Smith, Warrington and Linderman 2022, "Simplified State Space Layers for Sequence Modeling",
arXiv:2208.04933, section 3. Initialisation as the authors' code has it (lindermanlab/S5).

    x' = A x + B u,  y = 2 Re(C x) + skip u          continuous, diagonal A, all features u at once
    a  = exp(step A)                                 zero-order hold, a step for each state
    h_t = a h_{t-1} + (a - 1) / A (B u_t)

Glossary: A is the paper's Lambda, step its Delta, skip its D, state_size its P: half of it is kept
as complex numbers, the rest are their conjugates; `blocks` is its J. Re A stays at most -1e-4, as
the authors advise for texts without an end. The channel mixer of the stack stands where the
authors' layer has its gated GELU.

Letters: D width, N complex states (half of state_size), P state size of one block.
"""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.state_space.dense_diagonal import DenseDiagonalMixer
from seqarena.mixers.state_space.hippo import hippo_normal_spectrum
from seqarena.mixers.state_space.time_steps import TimeStepConfig

_LARGEST_REAL_PART = -1e-4  # of A
_CUT_DEVIATION = 0.8796256610342398  # of a standard normal number cut off at -2 and 2


class S5Config(TimeStepConfig):
    """The defaults are the authors', but for the state, which grows with the width."""

    # real numbers in the state; None: the width, up to a multiple of twice the blocks
    state_size: int | None = Field(default=None, ge=2)
    blocks: int = Field(default=8, ge=1)  # copies of a smaller spectrum at initialisation


class S5(DenseDiagonalMixer):
    """The multi-input, multi-output diagonal state space.

    A starts as the spectrum of HiPPO-N, once a block; B and C as random real and complex matrices
    in the basis in which HiPPO-N is diagonal.
    """

    Config = S5Config
    conjugates = 2
    equation: ClassVar[str] = """\
x' = A x + B u,  y = 2 Re(C x) + skip u          continuous, diagonal A, all features u at once
a  = exp(step A)                                 zero-order hold, a step for each state
h_t = a h_{t-1} + (a - 1) / A (B u_t)"""

    def __init__(self, width: int, config: S5Config) -> None:
        unit = 2 * config.blocks
        size = config.state_size or unit * math.ceil(width / unit)
        if size % unit:
            raise UserError(
                f"state_size {size} does not divide into {config.blocks} blocks of pairs: "
                "use a multiple of twice the blocks"
            )
        super().__init__(width, config, size // 2)
        self.log_step = nn.Parameter(config.draw_log_steps(self.states))
        self.a_real = nn.Parameter(torch.full((self.states,), -0.5))
        self.a_imaginary = nn.Parameter(torch.empty(self.states))
        self._initialise(size, config.blocks)

    @torch.no_grad()
    def _initialise(self, size: int, blocks: int) -> None:
        frequencies, basis = hippo_normal_spectrum(size // blocks)
        self.a_imaginary.copy_(frequencies.repeat(blocks))
        basis_SN = torch.block_diag(*[basis] * blocks)
        b_SD = _truncated_normal(size, self.width, size=size)
        b_ND = basis_SN.conj().T @ b_SD.to(basis.dtype)
        self.inward.weight.copy_(torch.cat((b_ND.real, b_ND.imag)))
        c_DN = torch.complex(*_truncated_normal(2, self.width, size, size=size)) @ basis_SN
        self.outward.weight.copy_(torch.cat((c_DN.real, -c_DN.imag), dim=1))

    def dynamics(self) -> tuple[Tensor, Tensor]:
        real_N = at_least_float32(self.a_real).clamp(max=_LARGEST_REAL_PART)
        a_N = torch.complex(real_N, at_least_float32(self.a_imaginary))
        exponent_N = at_least_float32(self.log_step).exp() * a_N
        return torch.exp(exponent_N), torch.expm1(exponent_N) / a_N


def _truncated_normal(*shape: int, size: int) -> Tensor:
    """Float64 numbers of variance 1 / size, none beyond two deviations of the uncut normal."""
    deviation = size**-0.5 / _CUT_DEVIATION
    return nn.init.trunc_normal_(
        torch.empty(shape, dtype=torch.float64), std=deviation, a=-2 * deviation, b=2 * deviation
    )
