"""The scalar LSTM of xLSTM: one layer, one direction, in two forms (`ops.recurrent`).

    i~, f~, z~, o~ = x_t + R h_{t-1}                       x_t: the input's part, each its own rows
    m_t = max(i~, log f + m_{t-1}),   log f = log sigmoid(f~)
    i' = exp(i~ - m_t),   f' = exp(log f + m_{t-1} - m_t)
    c_t = f' c_{t-1} + i' tanh(z~),   n_t = f' n_{t-1} + i'
    h_t = sigmoid(o~) c_t / n_t

R is block-diagonal: the features of a head see that head alone. m keeps the exponentials at most 1
and cancels in c / n. A state with n = 0 has taken in nothing yet; its m is not looked at.

Letters: `ops.recurrent`, and H heads, P = E / H features of a head, G = 4 P rows of one head: its
i, f, z and o. Source: Beck et al. 2024, "xLSTM", section 2.2. Of the two forget gates that the
paper allows, this is the sigmoid, as in its code.

The backward needs no gradient of m step by step. Whatever is computed from c / n alone does not
change when c and n are scaled and m is shifted, so that with dc, dn, dm the gradients of a state,
q = dm - (c dc + n dn) is zero at every position. Only a loss on the final state itself makes q
different from zero, and it then travels back unchanged to the position whose input was the maximum.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.ops.registry import operation, register_files


class SLSTMState(NamedTuple):
    """The output h, the cell c, the normaliser n and the stabiliser m, all [B, E]."""

    h_BE: Tensor
    c_BE: Tensor
    n_BE: Tensor
    m_BE: Tensor


@operation("slstm")
def slstm(
    x_BTF: Tensor,
    start: SLSTMState,
    recurrent_HGP: Tensor,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> tuple[Tensor, SLSTMState]:
    """x_BTF [B, T, 4 E], the input's part of i, f, z and o with their biases, right-padded where
    `lengths_B` says so -> (h_BTE, final state).

    The start's dtype is the one that the recurrence is kept in. Outputs beyond a row's length are
    free; its final state is that after its last real position. Raises UserError for an unknown
    algorithm.
    """
    form = slstm.form(algorithm, x_BTF)
    nothing_yet_BE = start.n_BE == 0
    begun = start._replace(m_BE=start.m_BE.masked_fill(nothing_yet_BE, -torch.inf))
    h_BTE, state = form(x_BTF, begun, recurrent_HGP, lengths_B)
    if lengths_B is not None:  # a row without a real position keeps its start
        state = state._replace(m_BE=state.m_BE.where(state.m_BE.isfinite(), start.m_BE))
    return h_BTE, state


register_files(__name__, __path__)
