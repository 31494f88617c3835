"""mu-law companding of samples to levels, fine near zero (ITU-T G.711; van den Oord et al. 2016,
section 2.2):

    f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu),   mu = levels - 1,   -1 <= x <= 1
"""

import math

import torch
from torch import Tensor

from seqarena.core.errors import UserError


def mu_law_encode(samples: Tensor, levels: int = 256) -> Tensor:
    """Samples within [-1, 1], any shape, to int64 levels 0 ... levels - 1.

    Raises UserError for samples outside [-1, 1] or less than 2 levels.
    """
    mu = _mu(levels)
    largest = float(samples.abs().max()) if samples.numel() else 0.0
    if not largest <= 1.0:
        raise UserError(
            f"mu-law takes samples between -1 and 1, but the largest here is {largest:g} away "
            "from 0: divide them by their full scale (32768 for 16 bits)"
        )
    companded = samples.sign() * torch.log1p(mu * samples.abs()) / math.log1p(mu)
    # level k represents the values nearest to it on the companded scale
    return torch.floor((companded + 1.0) / 2.0 * mu + 0.5).long()


def mu_law_decode(encoded: Tensor, levels: int = 256) -> Tensor:
    """Levels 0 ... levels - 1 to float32 samples within [-1, 1]."""
    mu = _mu(levels)
    companded = 2.0 * encoded.float() / mu - 1.0
    samples = companded.sign() * torch.expm1(companded.abs() * math.log1p(mu)) / mu
    return samples.clamp(-1.0, 1.0)  # rounding may carry the ends a hair further


def _mu(levels: int) -> int:
    if levels < 2:
        raise UserError(f"mu-law needs at least 2 levels, not {levels}: 256 is usual")
    return levels - 1
