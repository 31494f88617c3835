"""The simple recurrent network: one layer, one direction, in three forms (`ops.recurrent`).

    h_t = f(W x_t + U h_{t-1} + b)      f: tanh or ReLU

Letters: `ops.recurrent`. Source: Elman 1990.
"""

from typing import Literal, NamedTuple

from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.registry import operation, register_files

Nonlinearity = Literal["tanh", "relu"]


class ElmanWeights(NamedTuple):
    """One row a hidden feature."""

    input_ED: Tensor
    recurrent_EE: Tensor
    bias_E: Tensor


@operation("elman")
def elman(
    x_BTD: Tensor,
    start_BE: Tensor,
    weights: ElmanWeights,
    lengths_B: Tensor | None = None,
    *,
    nonlinearity: Nonlinearity,
    algorithm: str = "auto",
) -> tuple[Tensor, Tensor]:
    """x_BTD [B, T, D], right-padded where `lengths_B` says so -> (h_BTE, final state h_BE).

    The start's dtype is the one that the recurrence is kept in. Outputs beyond a row's length are
    free; its final state is that after its last real position. Raises UserError for an unknown
    algorithm.
    """
    form = elman.form(algorithm, x_BTD)
    h_BTE = form(x_BTD, start_BE, weights, nonlinearity)
    # the state is the output, so the one after the last real position is all that padding needs
    last_BE = recurrent.pick_last(h_BTE, start_BE, lengths_B)
    return h_BTE, last_BE.to(start_BE.dtype)


register_files(__name__, __path__)
