"""The gated recurrent unit: one layer, one direction, with either reset gate.

    r, z = sigmoid(W x_t + U h_{t-1} + b)                      each its own rows
    n = tanh(W x_t + r * (U h_{t-1} + b') + b)                 reset "after" the product
    n = tanh(W x_t + U (r * h_{t-1}) + b)                      reset "before" it
    h_t = (1 - z) * n + z * h_{t-1}

Each is an operation of its own, since the library has a kernel for "after" only.
"before" is Cho et al. 2014 (version 1 of that paper); "after" is version 3, and the library's.
The gates are in the order r, z, n in the weights, as in torch.nn. Letters: `ops.recurrent`.
"""

from typing import NamedTuple

from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.registry import operation, register_files


class GRUWeights(NamedTuple):
    """F = 3 E: the rows of r, z and n. The reset is "after" where there is an inner bias b'."""

    input_FD: Tensor
    recurrent_FE: Tensor
    bias_F: Tensor
    inner_bias_E: Tensor | None


@operation("gru")
def gru(
    x_BTD: Tensor,
    start_BE: Tensor,
    weights: GRUWeights,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> tuple[Tensor, Tensor]:
    """x_BTD [B, T, D], right-padded where `lengths_B` says so -> (h_BTE, final state h_BE).

    The reset gate acts after the product: the weights have an inner bias. The start's dtype is the
    one that the recurrence is kept in. Outputs beyond a row's length are free; its final state is
    that after its last real position. Raises UserError for an unknown algorithm.
    """
    form = gru.form(algorithm, x_BTD)
    return _with_last(form(x_BTD, start_BE, weights), start_BE, lengths_B)


@operation("gru_reset_before")
def gru_reset_before(
    x_BTD: Tensor,
    start_BE: Tensor,
    weights: GRUWeights,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> tuple[Tensor, Tensor]:
    """As `gru`, with the reset gate before the product: the weights have no inner bias."""
    form = gru_reset_before.form(algorithm, x_BTD)
    return _with_last(form(x_BTD, start_BE, weights), start_BE, lengths_B)


def _with_last(h_BTE: Tensor, start_BE: Tensor, lengths_B: Tensor | None) -> tuple[Tensor, Tensor]:
    # the state is the output, so the one after the last real position is all that padding needs
    last_BE = recurrent.pick_last(h_BTE, start_BE, lengths_B)
    return h_BTE, last_BE.to(start_BE.dtype)


register_files(__name__, __path__)
