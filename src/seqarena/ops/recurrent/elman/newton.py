"""All positions at once by Newton's method (`ops.recurrent.newton`)."""

from functools import partial
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from seqarena.ops import recurrent
from seqarena.ops.recurrent.elman import ElmanWeights, Nonlinearity, elman
from seqarena.ops.recurrent.jacobians import GateJacobian
from seqarena.ops.recurrent.newton import Method, newton_states, serial_steps


class _ElmanCell(NamedTuple):
    x_BTE: Tensor  # W x + b
    recurrent_EE: Tensor
    nonlinearity: Nonlinearity
    name: str = "elman"

    def after(self, before_BTS: Tensor) -> Tensor:
        sums_BTE = self.x_BTE + before_BTS @ self.recurrent_EE.t()
        return sums_BTE.tanh() if self.nonlinearity == "tanh" else sums_BTE.relu()

    def linearised(self, before_BTS: Tensor) -> tuple[Tensor, GateJacobian]:
        h_BTE = self.after(before_BTS)
        slopes_BTE = 1 - h_BTE**2 if self.nonlinearity == "tanh" else (h_BTE > 0).to(h_BTE.dtype)
        return h_BTE, GateJacobian(slopes_BTE, self.recurrent_EE)


def _solved(
    x_BTD: Tensor,
    start_BE: Tensor,
    weights: ElmanWeights,
    nonlinearity: Nonlinearity,
    *,
    method: Method,
) -> Tensor:
    """Every h_t."""
    dtype = start_BE.dtype
    with recurrent.without_autocast(x_BTD):
        input_ED, recurrent_EE, bias_E = (weight.to(dtype) for weight in weights)
        x_BTE = functional.linear(x_BTD.to(dtype), input_ED, bias_E)
        cell = _ElmanCell(x_BTE, recurrent_EE, nonlinearity)
        return newton_states(cell, start_BE, x_BTD.shape[1], method)


for _method in ("newton", "quasi_newton"):
    elman.algorithm(_method, serial_steps=serial_steps(_method))(partial(_solved, method=_method))
