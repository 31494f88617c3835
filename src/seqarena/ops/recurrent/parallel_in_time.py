"""A recurrent cell of one's own, computed for all positions at once (`newton.py`).

    def cell(x_ND, h_NE):                                   # rows in, the next state out
        return torch.tanh(x_ND @ weight_DE + decay_E * h_NE)

    h_BTE = parallel_in_time(cell, x_BTD, start_BE, jacobian="diagonal")

The result and every gradient (of the input, the start, and whatever else the cell uses) are those
of the loop over positions. `examples/own_cell.py` is a whole mixer made of it.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.ops.recurrent.jacobians import BlockJacobian
from seqarena.ops.recurrent.newton import TOLERANCES, newton_states

RowCell = Callable[[Tensor, Tensor], Tensor]
_NOT_DIAGONAL = 1e-3  # of the largest slope: far above rounding in float32


def parallel_in_time(
    cell: RowCell,
    x_BTD: Tensor,
    start_BE: Tensor,
    *,
    jacobian: Literal["dense", "diagonal"] = "dense",
) -> Tensor:
    """Every state h_t = cell(x_t, h_{t-1}) from h_0 = `start_BE`: [B, T, E].

    `cell(x_ND, h_NE)` gives the next state of each of N independent rows, in the start's dtype,
    which is float32 or float64; it is called with rows of all positions, is a function of its two
    arguments (no dropout), and is differentiated by autograd. `dense` is for any cell and needs
    E x E numbers a position. `diagonal` is for cells whose feature j of the next state depends on
    feature j of the state alone, at any width. A cell with several states puts them side by side.

    Raises UserError where `diagonal` is not true, where the rounds do not converge
    (`recorded_solves` shows them), for Jacobians beyond memory and for other dtypes.
    """
    if start_BE.dtype not in TOLERANCES:
        raise UserError(f"a start in {start_BE.dtype}: use float32 or float64")
    method = "newton" if jacobian == "dense" else "quasi_newton"
    return newton_states(_Rows(cell, x_BTD, jacobian), start_BE, x_BTD.shape[1], method)


class _Rows(NamedTuple):
    """The cell over all positions of a sequence."""

    cell: RowCell
    x_BTD: Tensor
    jacobian: str
    name: str = "the cell"

    def after(self, before_BTS: Tensor) -> Tensor:
        after_NE = self.cell(self.x_BTD.flatten(0, 1), before_BTS.flatten(0, 1))
        return after_NE.view_as(before_BTS)

    def linearised(self, before_BTS: Tensor) -> tuple[Tensor, BlockJacobian]:
        with torch.enable_grad():
            before_BTS = before_BTS.detach().requires_grad_()
            after_BTS = self._replace(x_BTD=self.x_BTD.detach()).after(before_BTS)
            blocks = _dense if self.jacobian == "dense" else _diagonal
            return after_BTS.detach(), BlockJacobian(blocks(after_BTS, before_BTS))


def _dense(after_BTS: Tensor, before_BTS: Tensor) -> Tensor:
    """Rows are independent, so that one backward pass gives a row of J at every position."""
    rows = [_back(after_BTS[..., k].sum(), before_BTS) for k in range(after_BTS.shape[2])]
    return torch.stack(rows, dim=2)[:, :, None]


def _diagonal(after_BTS: Tensor, before_BTS: Tensor) -> Tensor:
    """Column sums of J, which are its diagonal if nothing else is in it. Raises UserError where
    random signs show that something is."""
    found_BTS = _back(after_BTS.sum(), before_BTS)
    draw = torch.Generator().manual_seed(0)
    signs_S = torch.randint(2, after_BTS.shape[2:], generator=draw).to(after_BTS) * 2 - 1
    signed_BTS = _back((after_BTS * signs_S).sum(), before_BTS)
    beside = float((signed_BTS - signs_S * found_BTS).abs().max())
    if beside > _NOT_DIAGONAL * float(found_BTS.abs().max()):
        raise UserError(
            "the cell is not diagonal: a feature of its next state depends on other features of "
            "the state; use jacobian='dense'"
        )
    return found_BTS[..., None, None]


def _back(total: Tensor, before_BTS: Tensor) -> Tensor:
    (found_BTS,) = torch.autograd.grad(total, before_BTS, retain_graph=True, materialize_grads=True)
    return found_BTS
