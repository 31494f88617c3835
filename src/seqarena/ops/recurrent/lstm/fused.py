"""The library's kernel; for a single position without gradients, that of one step."""

import torch
from torch import Tensor

from seqarena.core.shapes import lengths_to_mask
from seqarena.ops import recurrent
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm

_SURE = 1e4  # in a gate's argument: its sigmoid is then 0 or 1, whatever else is added


@lstm.algorithm("fused", serial_steps=lambda length: length)
def fused(
    x_BTD: Tensor, start: LSTMState, weights: LSTMWeights, lengths_B: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """The outputs and the final state."""
    if recurrent.is_decoding(x_BTD) and lengths_B is None:
        return _fused_cell(x_BTD, start, weights)
    dtype, input_FD = weights.input_FD.dtype, weights.input_FD
    if lengths_B is not None:
        x_BTD, input_FD = _held(x_BTD, input_FD, lengths_B)
    # the kernel has a second bias, added at the same place
    parameters = [input_FD, *weights[1:3], torch.zeros_like(weights.bias_F)]
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, True)  # biases, layers, dropout, ...

    def kernel(x_BTD: Tensor, hidden: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y_BTE, *hidden = torch.lstm(x_BTD, hidden, parameters, *options)
        return y_BTE, hidden

    hidden = [leaf[None].to(dtype) for leaf in start]
    y_BTE, (h_1BE, c_1BE) = recurrent.in_pieces(kernel, x_BTD.to(dtype), hidden)
    h_BE = h_1BE[0]
    if lengths_B is not None:
        h_BE = recurrent.pick_last(y_BTE, start.h_BE, lengths_B)
    return y_BTE, LSTMState(h_BE.to(start.h_BE.dtype), c_1BE[0].to(start.c_BE.dtype))


def _held(x_BTD: Tensor, input_FD: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
    """One more input, on behind a row's end, which sets the input gate to 0 there and the forget
    gate to 1, exactly: the kernel returns only the last cell, and so that is the row's own.

    Packing is the library's way to the same, and its gradient is a slice for each position of all
    positions, quadratic in T: 12 times as slow as this at T = 200 on a CPU, 40 times at 1,000.
    """
    width = len(input_FD) // 4
    column_F1 = input_FD.new_zeros(len(input_FD), 1)
    column_F1[:width], column_F1[width : 2 * width] = -_SURE, _SURE
    beyond_BT = ~lengths_to_mask(lengths_B, x_BTD.shape[1])
    x_BTD = torch.cat((x_BTD, beyond_BT[..., None].to(x_BTD.dtype)), 2)
    return x_BTD, torch.cat((input_FD, column_F1), 1)


def _fused_cell(x_BTD: Tensor, start: LSTMState, weights: LSTMWeights) -> tuple[Tensor, LSTMState]:
    """One position through the library's kernel for a single step."""
    dtype = weights.input_FD.dtype
    hidden = [leaf.to(dtype) for leaf in start]
    h_BE, c_BE = torch.lstm_cell(x_BTD[:, 0].to(dtype), hidden, *weights[:3])
    return h_BE[:, None], LSTMState(h_BE.to(start.h_BE.dtype), c_BE.to(start.c_BE.dtype))
