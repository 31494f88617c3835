"""Jacobians of recurrent cells at every position, as slopes of gates times the recurrent weights.

    J = diag(keep) + sum over gates k of diag(a_k) U_k                        Elman, GRU
    dc' = keep dc + sum over i, f, g of a_k U_k dh,   dh' = carry dc' + a_o U_o dh      LSTM

Letters: `newton.py`; E features of the hidden state, F stacked gates.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.ops.recurrent.newton import Method


class GateJacobian(NamedTuple):
    """Of a state that is the output. `keep_BTE` None is zero."""

    slopes_BTF: Tensor  # a
    recurrent_FE: Tensor  # U
    keep_BTE: Tensor | None = None

    def blocks(self, method: Method) -> Tensor:
        """One block of all, or the diagonal."""
        slopes_BTGE, weight_GEE = _by_gate(self.slopes_BTF, self.recurrent_FE)
        if method == "newton":
            j_BTEE = torch.einsum("btge,gef->btef", slopes_BTGE, weight_GEE)
            if self.keep_BTE is not None:
                j_BTEE.diagonal(dim1=2, dim2=3).add_(self.keep_BTE)
            return j_BTEE[:, :, None]
        j_BTE = _own(slopes_BTGE, weight_GEE)
        return (j_BTE if self.keep_BTE is None else j_BTE + self.keep_BTE)[..., None, None]

    def transposed_times(self, g_BTS: Tensor) -> Tensor:
        """J^T g."""
        gates = len(self.recurrent_FE) // g_BTS.shape[2]
        back_BTE = (self.slopes_BTF * g_BTS.repeat(1, 1, gates)) @ self.recurrent_FE
        return back_BTE if self.keep_BTE is None else back_BTE + self.keep_BTE * g_BTS


class CellJacobian(NamedTuple):
    """Of an LSTM, whose state is h and c side by side."""

    slopes_BTF: Tensor  # of c' in the arguments of i, f and g, of h' in that of o
    recurrent_FE: Tensor
    carry_BTE: Tensor  # of h' in c'
    keep_BTE: Tensor  # of c' in c

    def blocks(self, method: Method) -> Tensor:
        """One block of all, or those of each feature's own h and c."""
        slopes_BTGE, weight_GEE = _by_gate(self.slopes_BTF, self.recurrent_FE)
        if method == "newton":
            into_c = torch.einsum("btge,gef->btef", slopes_BTGE[:, :, :3], weight_GEE[:3])
            through_o = slopes_BTGE[:, :, 3, :, None] * weight_GEE[3]
            into_h = through_o.addcmul_(self.carry_BTE[..., None], into_c)
            right = (
                torch.diag_embed(self.carry_BTE * self.keep_BTE),
                torch.diag_embed(self.keep_BTE),
            )
            rows = (torch.cat(pair, dim=3) for pair in zip((into_h, into_c), right))
            return torch.cat(tuple(rows), dim=2)[:, :, None]
        into_c = _own(slopes_BTGE[:, :, :3], weight_GEE[:3])
        into_h = self.carry_BTE * into_c + _own(slopes_BTGE[:, :, 3:], weight_GEE[3:])
        four = (into_h, self.carry_BTE * self.keep_BTE, into_c, self.keep_BTE)
        return torch.stack(four, dim=3).unflatten(3, (2, 2))

    def transposed_times(self, g_BTS: Tensor) -> Tensor:
        """J^T g."""
        gh_BTE, gc_BTE = g_BTS.chunk(2, dim=2)
        gc_BTE = gc_BTE + self.carry_BTE * gh_BTE
        gates_BTF = torch.cat((gc_BTE, gc_BTE, gc_BTE, gh_BTE), dim=2) * self.slopes_BTF
        return torch.cat((gates_BTF @ self.recurrent_FE, self.keep_BTE * gc_BTE), dim=2)


class BlockJacobian(NamedTuple):
    """Given as it is: its blocks are all of it."""

    j_BTKNN: Tensor

    def blocks(self, method: Method) -> Tensor:
        return self.j_BTKNN

    def transposed_times(self, g_BTS: Tensor) -> Tensor:
        """J^T g."""
        blocks, features = self.j_BTKNN.shape[2:4]
        g_BTKN = g_BTS.unflatten(2, (features, blocks)).transpose(2, 3)
        back_BTKN = torch.einsum("btknm,btkn->btkm", self.j_BTKNN, g_BTKN)
        return back_BTKN.transpose(2, 3).flatten(2)


def _by_gate(slopes_BTF: Tensor, recurrent_FE: Tensor) -> tuple[Tensor, Tensor]:
    """[B, T, gates, E] and [gates, E, E]."""
    features = recurrent_FE.shape[1]
    return slopes_BTF.unflatten(2, (-1, features)), recurrent_FE.unflatten(0, (-1, features))


def _own(slopes_BTGE: Tensor, weight_GEE: Tensor) -> Tensor:
    """What each feature's gates see of the feature itself, [B, T, E]."""
    return (slopes_BTGE * weight_GEE.diagonal(dim1=1, dim2=2)).sum(2)
