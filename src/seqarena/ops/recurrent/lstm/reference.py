"""The published step, once for each position, under autograd."""

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm, lstm_peephole


@lstm_peephole.truth("loop", serial_steps=lambda length: length)
@lstm.truth("loop", serial_steps=lambda length: length)
def loop(
    x_BTD: Tensor, start: LSTMState, weights: LSTMWeights, lengths_B: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """The outputs and the final state."""
    state, outputs = start, []
    for t, x_BD in enumerate(x_BTD.unbind(1)):
        after = _cell(x_BD, state, weights)
        outputs.append(after.h_BE)
        if lengths_B is not None:
            real_B1 = (t < lengths_B)[:, None]
            after = LSTMState(*(torch.where(real_B1, a, s) for a, s in zip(after, state)))
        state = after
    return torch.stack(outputs, dim=1), state


def _cell(x_BD: Tensor, state: LSTMState, weights: LSTMWeights) -> LSTMState:
    dtype = weights.input_FD.dtype
    gates_BF = functional.linear(x_BD.to(dtype), weights.input_FD, weights.bias_F)
    gates_BF = gates_BF + functional.linear(state.h_BE.to(dtype), weights.recurrent_FE)
    i_BE, f_BE, g_BE, o_BE = gates_BF.to(state.c_BE.dtype).chunk(4, dim=1)
    if weights.peepholes_3E is not None:
        p_i, p_f, p_o = weights.peepholes_3E.to(state.c_BE.dtype)
        i_BE, f_BE = i_BE + p_i * state.c_BE, f_BE + p_f * state.c_BE
    c_BE = f_BE.sigmoid() * state.c_BE + i_BE.sigmoid() * g_BE.tanh()
    if weights.peepholes_3E is not None:
        o_BE = o_BE + p_o * c_BE
    return LSTMState(o_BE.sigmoid() * c_BE.tanh(), c_BE)
