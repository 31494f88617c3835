"""All positions at once by Newton's method (`ops.recurrent.newton`), with and without peepholes."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.ops import recurrent
from seqarena.ops.recurrent.jacobians import CellJacobian
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm, lstm_peephole
from seqarena.ops.recurrent.newton import Method, newton_states, serial_steps


class _LSTMCell(NamedTuple):
    """The state of a position is h and c side by side."""

    x_BTF: Tensor  # W x + b
    recurrent_FE: Tensor
    peepholes_3E: Tensor | None
    name: str = "lstm"

    def after(self, before_BTS: Tensor) -> Tensor:
        *_, o_BTE, c_BTE = self._gates(before_BTS)
        return torch.cat((o_BTE * c_BTE.tanh(), c_BTE), dim=2)

    def linearised(self, before_BTS: Tensor) -> tuple[Tensor, CellJacobian]:
        i, f, g, o, c_BTE = self._gates(before_BTS)
        before_c, tanh_c = before_BTS.chunk(2, dim=2)[1], c_BTE.tanh()
        slope_i, slope_f = i * (1 - i) * g, f * (1 - f) * before_c
        slope_g, slope_o = (1 - g**2) * i, o * (1 - o) * tanh_c
        carry, keep = o * (1 - tanh_c**2), f
        if self.peepholes_3E is not None:
            p_i, p_f, p_o = self.peepholes_3E
            carry, keep = carry + slope_o * p_o, keep + slope_i * p_i + slope_f * p_f
        slopes_BTF = torch.cat((slope_i, slope_f, slope_g, slope_o), dim=2)
        jacobian = CellJacobian(slopes_BTF, self.recurrent_FE, carry, keep)
        return torch.cat((o * tanh_c, c_BTE), dim=2), jacobian

    def _gates(self, before_BTS: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """i, f, g, o and the new cell."""
        h_BTE, c_BTE = before_BTS.chunk(2, dim=2)
        i, f, g, o = (self.x_BTF + h_BTE @ self.recurrent_FE.t()).chunk(4, dim=2)
        if self.peepholes_3E is not None:
            i, f = i + self.peepholes_3E[0] * c_BTE, f + self.peepholes_3E[1] * c_BTE
        i, f, g = i.sigmoid(), f.sigmoid(), g.tanh()
        c_BTE = f * c_BTE + i * g
        if self.peepholes_3E is not None:
            o = o + self.peepholes_3E[2] * c_BTE
        return i, f, g, o.sigmoid(), c_BTE


def _solved(
    x_BTD: Tensor,
    start: LSTMState,
    weights: LSTMWeights,
    lengths_B: Tensor | None,
    *,
    method: Method,
) -> tuple[Tensor, LSTMState]:
    """The outputs and the final state."""
    dtype = start.c_BE.dtype
    with recurrent.without_autocast(x_BTD):
        input_FD, recurrent_FE, bias_F = (weight.to(dtype) for weight in weights[:3])
        peepholes_3E = None if weights.peepholes_3E is None else weights.peepholes_3E.to(dtype)
        x_BTF = functional.linear(x_BTD.to(dtype), input_FD, bias_F)
        cell = _LSTMCell(x_BTF, recurrent_FE, peepholes_3E)
        states_BTS = newton_states(cell, torch.cat(start, dim=1), x_BTD.shape[1], method)
    both = states_BTS.chunk(2, dim=2)
    last = (recurrent.pick_last(leaf, old, lengths_B) for leaf, old in zip(both, start))
    return both[0], LSTMState(*last)


for _method in ("newton", "quasi_newton"):
    for _operation in (lstm, lstm_peephole):
        _form = partial(_solved, method=_method)
        _operation.algorithm(_method, serial_steps=serial_steps(_method))(_form)
