"""Long short-term memory: one layer, one direction, in the forms of `ops.recurrent`.

    i, f, o = sigmoid(W x_t + U h_{t-1} + b),  g = tanh(W x_t + U h_{t-1} + b)   each its own rows
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t)

With peepholes the gates see the cell as well, each feature its own: p_i c_{t-1} is added inside i,
p_f c_{t-1} inside f, and p_o c_t inside o. They are an operation of their own, since no library has
a kernel for them. The gates are in the order i, f, g, o in the weights, as in torch.nn. Letters:
`ops.recurrent`. Sources: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000;
peepholes: Gers & Schmidhuber 2000, in the equations of Graves 2013.
"""

from typing import NamedTuple

from torch import Tensor

from seqarena.ops.registry import operation, register_files


class LSTMWeights(NamedTuple):
    """F = 4 E: the rows of i, f, g and o. Peepholes: the rows of i, f and o."""

    input_FD: Tensor
    recurrent_FE: Tensor
    bias_F: Tensor
    peepholes_3E: Tensor | None = None


class LSTMState(NamedTuple):
    """h_BE is the output of the last position, c_BE the memory cell."""

    h_BE: Tensor
    c_BE: Tensor


@operation("lstm")
def lstm(
    x_BTD: Tensor,
    start: LSTMState,
    weights: LSTMWeights,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> tuple[Tensor, LSTMState]:
    """x_BTD [B, T, D], right-padded where `lengths_B` says so -> (h_BTE, final state).

    The start's dtype is the one that the recurrence is kept in. Outputs beyond a row's length are
    free; its final state is that after its last real position. Raises UserError for an unknown
    algorithm.
    """
    form = lstm.form(algorithm, x_BTD)
    return form(x_BTD, start, weights, lengths_B)


@operation("lstm_peephole")
def lstm_peephole(
    x_BTD: Tensor,
    start: LSTMState,
    weights: LSTMWeights,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> tuple[Tensor, LSTMState]:
    """As `lstm`, with peepholes: the weights have them."""
    form = lstm_peephole.form(algorithm, x_BTD)
    return form(x_BTD, start, weights, lengths_B)


register_files(__name__, __path__)
