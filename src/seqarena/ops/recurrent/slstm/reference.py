"""The published step, once for each position, under autograd."""

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.ops import recurrent
from seqarena.ops.recurrent.slstm import SLSTMState, slstm


@slstm.truth("loop", serial_steps=lambda length: length)
def loop(
    x_BTF: Tensor, start: SLSTMState, recurrent_HGP: Tensor, lengths_B: Tensor | None
) -> tuple[Tensor, SLSTMState]:
    """The outputs and the final state."""
    state, outputs = start, []
    for t, x_BF in enumerate(x_BTF.unbind(1)):
        after = _cell(x_BF, state, recurrent_HGP)
        outputs.append(after.h_BE)
        if lengths_B is not None:
            real_B1 = (t < lengths_B)[:, None]
            after = SLSTMState(*(torch.where(real_B1, a, s) for a, s in zip(after, state)))
        state = after
    return torch.stack(outputs, dim=1), state


def _cell(x_BF: Tensor, state: SLSTMState, recurrent_HGP: Tensor) -> SLSTMState:
    heads, dtype = len(recurrent_HGP), recurrent.product_dtype(x_BF, recurrent_HGP)
    h_HBP = state.h_BE.unflatten(1, (heads, -1)).transpose(0, 1).to(dtype)
    u_HBG = h_HBP @ recurrent_HGP.to(dtype).transpose(1, 2)
    # [H, B, 4, P] -> [B, 4 E]: all heads of one gate side by side
    u_BF = u_HBG.unflatten(2, (4, -1)).permute(1, 2, 0, 3).flatten(1)
    i_BE, f_BE, z_BE, o_BE = (x_BF + u_BF).to(state.c_BE.dtype).chunk(4, dim=1)
    kept_BE = functional.logsigmoid(f_BE) + state.m_BE
    m_BE = torch.maximum(i_BE, kept_BE)
    take_BE, keep_BE = (i_BE - m_BE).exp(), (kept_BE - m_BE).exp()
    c_BE = keep_BE * state.c_BE + take_BE * z_BE.tanh()
    n_BE = keep_BE * state.n_BE + take_BE
    return SLSTMState(o_BE.sigmoid() * c_BE / n_BE, c_BE, n_BE, m_BE)
