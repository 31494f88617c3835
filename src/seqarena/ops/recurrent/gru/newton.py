"""All positions at once by Newton's method (`ops.recurrent.newton`), reset after the product."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.ops import recurrent
from seqarena.ops.recurrent.gru import GRUWeights, gru
from seqarena.ops.recurrent.jacobians import GateJacobian
from seqarena.ops.recurrent.newton import Method, newton_states, serial_steps


class _GRUCell(NamedTuple):
    x_BTF: Tensor  # W x + b
    recurrent_FE: Tensor
    inner_bias_E: Tensor
    name: str = "gru"

    def after(self, before_BTS: Tensor) -> Tensor:
        _, z_BTE, n_BTE, _ = self._gates(before_BTS)
        return torch.lerp(n_BTE, before_BTS, z_BTE)

    def linearised(self, before_BTS: Tensor) -> tuple[Tensor, GateJacobian]:
        r_BTE, z_BTE, n_BTE, inner_BTE = self._gates(before_BTS)
        into_n_BTE = (1 - z_BTE) * (1 - n_BTE**2)
        slopes = (
            into_n_BTE * inner_BTE * r_BTE * (1 - r_BTE),
            (before_BTS - n_BTE) * z_BTE * (1 - z_BTE),
            into_n_BTE * r_BTE,
        )
        jacobian = GateJacobian(torch.cat(slopes, dim=2), self.recurrent_FE, z_BTE)
        return torch.lerp(n_BTE, before_BTS, z_BTE), jacobian

    def _gates(self, before_BTS: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """r, z, n and what r multiplies."""
        x_r, x_z, x_n = self.x_BTF.chunk(3, dim=2)
        u_r, u_z, u_n = (before_BTS @ self.recurrent_FE.t()).chunk(3, dim=2)
        r_BTE, z_BTE, inner_BTE = (
            (x_r + u_r).sigmoid(),
            (x_z + u_z).sigmoid(),
            u_n + self.inner_bias_E,
        )
        return r_BTE, z_BTE, (x_n + r_BTE * inner_BTE).tanh(), inner_BTE


def _solved(x_BTD: Tensor, start_BE: Tensor, weights: GRUWeights, *, method: Method) -> Tensor:
    """Every h_t."""
    dtype = start_BE.dtype
    assert weights.inner_bias_E is not None
    with recurrent.without_autocast(x_BTD):
        x_BTF = functional.linear(
            x_BTD.to(dtype), weights.input_FD.to(dtype), weights.bias_F.to(dtype)
        )
        cell = _GRUCell(x_BTF, weights.recurrent_FE.to(dtype), weights.inner_bias_E.to(dtype))
        return newton_states(cell, start_BE, x_BTD.shape[1], method)


for _method in ("newton", "quasi_newton"):
    gru.algorithm(_method, serial_steps=serial_steps(_method))(partial(_solved, method=_method))
