"""Some chunks of some sequences: the outputs, the matrices after, and the way back.

With the pairs a of `scores.py`, S the matrix before a chunk, and for each chunk

    u = (I - a_ed)^-1 (e_reads S + a_ek v)          e the rows of `erase`, d the directions
    y = q_reads S + a_qk v + a_qd u
    S <- kept S + k_writes^T v + d_writes^T u

(the WY or UT transform). Where the direction is minus the key, v - u takes the place of v, and the
sums over u are gone; with -e for e it is one system again:

    w = (I - a_ek)^-1 (e_reads S + v)
    y = q_reads S + a_qk w
    S <- kept S + k_writes^T w

    N chunks   X sequences and heads   M = N X, the chunk first   L positions of a chunk
    R rows of a position (q, e)   C columns of a position (k, d) and their values (v or w, u)
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.ops.matrix_recurrence.scores import HeadDecay, KeyDecay, Plain
from seqarena.ops.matrix_recurrence.triangular import inverse_of_unit


class Solved(NamedTuple):
    """What the forward pass hands to the backward pass: the pairs; and where something is erased,
    the inverse and what it solved for, u or w."""

    pairs_MPQ: Tensor
    inverse_MLL: Tensor | None
    solved_MLV: Tensor | None


class Segment:
    """The inputs of N chunks and what is computed from them."""

    def __init__(
        self, rows_MLRK: Tensor, columns_MLCK: Tensor, log_decay_ML: Tensor | None, chunks: int
    ) -> None:
        """The rows of `erase` have the opposite sign where there are no directions."""
        if log_decay_ML is None:
            self.scores = Plain(rows_MLRK, columns_MLCK)
        elif log_decay_ML.shape[-1] == 1:
            self.scores = HeadDecay(rows_MLRK, columns_MLCK, log_decay_ML)
        else:
            self.scores = KeyDecay(rows_MLRK, columns_MLCK, log_decay_ML)
        self.chunks = chunks
        self.erases, self.along_key = rows_MLRK.shape[2] > 1, columns_MLCK.shape[2] == 1
        self.sizes = (*rows_MLRK.shape[1:3], columns_MLCK.shape[2])

    def forward(self, v_MLV: Tensor, states: Tensor) -> tuple[Tensor, Solved]:
        """The outputs y_MLV; fills in `states` [N + 1, X, K, V] after its first."""
        L, R, C = self.sizes
        pairs_MPQ = self.scores.pairs()
        kept = Solved(pairs_MPQ, None, None)
        if self.erases:
            pairs = pairs_MPQ.view(-1, L, R, L, C)
            inverse_MLL = inverse_of_unit(pairs[:, :, 1, :, -1])
            known_MLV = (
                v_MLV if self.along_key else torch.bmm(pairs[:, :, 1, :, 0].contiguous(), v_MLV)
            )
            kept = Solved(
                pairs_MPQ, inverse_MLL, self._solve(inverse_MLL, known_MLV, v_MLV, states)
            )
        else:
            self._advance(states, torch.bmm(self.scores.writes_MLCK[:, :, 0].mT, v_MLV))
        y_MLV = torch.bmm(self.scores.reads_MLRK[:, :, 0], states[:-1].flatten(0, 1))
        return y_MLV.baddbmm_(pairs_MPQ[:, ::R], self._values(v_MLV, kept)), kept

    def _values(self, v_MLV: Tensor | None, kept: Solved) -> Tensor:
        """What the columns write, [M, L C, V]: v, or w, or v and u in turn."""
        if kept.solved_MLV is not None and self.along_key:
            return kept.solved_MLV
        assert v_MLV is not None
        if kept.solved_MLV is None:
            return v_MLV
        return torch.stack((v_MLV, kept.solved_MLV), 2).flatten(1, 2)

    def _by_chunk(self, x_M: Tensor) -> tuple[Tensor, ...]:
        return x_M.view(self.chunks, -1, *x_M.shape[1:]).unbind(0)

    def _advance(self, states: Tensor, added_MKV: Tensor) -> None:
        """Nothing is erased: each matrix from the one before it."""
        steps, kept = states.unbind(0), self.scores.kept
        for n, added in enumerate(self._by_chunk(added_MKV)):
            if kept is None:
                torch.add(steps[n], added, out=steps[n + 1])
            else:
                torch.addcmul(added, steps[n], self._by_chunk(kept)[n], out=steps[n + 1])

    def _solve(
        self, inverse_MLL: Tensor, known_MLV: Tensor, v_MLV: Tensor, states: Tensor
    ) -> Tensor:
        """u or w, and each matrix from the one before it."""
        solved_MLV = torch.empty_like(known_MLV)
        steps, kept = states.unbind(0), self.scores.kept
        known, solved, v = (self._by_chunk(x) for x in (known_MLV, solved_MLV, v_MLV))
        inverse, erase = (self._by_chunk(x) for x in (inverse_MLL, self.scores.reads_MLRK[:, :, 1]))
        writes = self._by_chunk(self.scores.writes_MLCK)
        for n in range(self.chunks):
            torch.bmm(inverse[n], torch.baddbmm(known[n], erase[n], steps[n]), out=solved[n])
            if kept is None:
                steps[n + 1].copy_(steps[n])
            else:
                torch.mul(steps[n], self._by_chunk(kept)[n], out=steps[n + 1])
            if self.along_key:
                values = solved[n]
            else:
                values = torch.stack((v[n], solved[n]), 2).flatten(1, 2)
            steps[n + 1].baddbmm_(writes[n].flatten(1, 2).mT, values)
        return solved_MLV

    def backward(
        self, v_MLV: Tensor | None, kept: Solved, dread_MLRV: Tensor, states: Tensor, ds_XKV: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
        """The gradients of the rows, the columns, v and the logarithms of the decay, and of the
        first matrix, from those of the outputs (the first row of `dread_MLRV`; the others are
        filled in) and of the last matrix. `v_MLV` may be None where w took its place."""
        L, R, C = self.sizes
        scores, pairs_MPQ = self.scores, kept.pairs_MPQ
        dstates = torch.empty_like(states)
        dstates[-1].copy_(ds_XKV)
        dy_MLV = dread_MLRV[:, :, 0]
        dvalues = torch.bmm(pairs_MPQ[:, ::R].mT, dy_MLV)
        if kept.inverse_MLL is not None:
            self._solve_back(kept.inverse_MLL, dread_MLRV, dvalues, dstates)
        else:
            self._retreat(dy_MLV, dstates)
            dvalues.baddbmm_(scores.writes_MLCK[:, :, 0], dstates[1:].flatten(0, 1))
        values, dread = self._values(v_MLV, kept), dread_MLRV.flatten(1, 2)
        dreads = torch.bmm(dread, states[:-1].flatten(0, 1).mT)
        dwrites = torch.bmm(values, dstates[1:].flatten(0, 1).mT)
        found = scores.backward(
            torch.bmm(dread, values.mT), pairs_MPQ,
            dreads.view(scores.reads_MLRK.shape), dwrites.view(scores.writes_MLCK.shape),
        )  # fmt: skip
        dlog = found.log_decay
        if dlog is not None and scores.kept is not None:
            through_MK = (states[:-1] * dstates[1:]).sum(-1).flatten(0, 1)
            if dlog.shape[-1] == 1:
                through_MK = through_MK.sum(-1, keepdim=True)
            dlog += scores.kept.mT * through_MK[:, None]
        if not self.erases:
            dv_MLV = dvalues
        elif self.along_key:
            dv_MLV = dread_MLRV[:, :, 1]
        else:
            known_MLL = pairs_MPQ.view(-1, L, R, L, C)[:, :, 1, :, 0].contiguous()
            dv_MLV = torch.bmm(known_MLL.mT, dread_MLRV[:, :, 1])
            dv_MLV += dvalues.view(-1, L, C, dvalues.shape[-1])[:, :, 0]
        return found.rows_MLRK, found.columns_MLCK, dv_MLV, dlog, dstates[0]

    def _retreat(self, dy_MLV: Tensor, dstates: Tensor) -> None:
        """`_advance` in reverse: the gradient of each matrix from that of the one after it."""
        steps, kept = dstates.unbind(0), self.scores.kept
        added = self._by_chunk(torch.bmm(self.scores.reads_MLRK[:, :, 0].mT, dy_MLV))
        for n in reversed(range(self.chunks)):
            if kept is None:
                torch.add(steps[n + 1], added[n], out=steps[n])
            else:
                torch.addcmul(added[n], steps[n + 1], self._by_chunk(kept)[n], out=steps[n])

    def _solve_back(
        self, inverse_MLL: Tensor, dread_MLRV: Tensor, dvalues: Tensor, dstates: Tensor
    ) -> None:
        """`_solve` in reverse: fills in the second row of `dread_MLRV`, the gradient of what the
        inverse multiplies, and completes `dvalues`."""
        L, _, C = self.sizes
        steps, kept = dstates.unbind(0), self.scores.kept
        inverse, dread, found = (self._by_chunk(x) for x in (inverse_MLL, dread_MLRV, dvalues))
        reads, writes = (
            self._by_chunk(x) for x in (self.scores.reads_MLRK, self.scores.writes_MLCK)
        )
        for n in reversed(range(self.chunks)):
            found[n].baddbmm_(writes[n].flatten(1, 2), steps[n + 1])
            solved = found[n].view(-1, L, C, found[n].shape[-1])[:, :, -1]
            dread[n][:, :, 1] = torch.bmm(inverse[n].mT, solved)
            if kept is None:
                steps[n].copy_(steps[n + 1])
            else:
                torch.mul(steps[n + 1], self._by_chunk(kept)[n], out=steps[n])
            steps[n].baddbmm_(reads[n].flatten(1, 2).mT, dread[n].flatten(1, 2))
