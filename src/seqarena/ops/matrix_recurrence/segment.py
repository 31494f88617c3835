"""Some chunks of some sequences: the outputs, the matrices after, and the way back.

With the pairs a of `scores.py`, S_n the matrix before chunk n, and per chunk

    u = (I - a_ed)^-1 (e_reads S_n + a_ek v)        what is erased, e the rows of `erase`
    y = q_reads S_n + a_qk v + a_qd u               d the columns of `direction`
    S_(n+1) = kept S_n + k_writes^T v + d_writes^T u

Where the direction is minus the key, v - u takes the place of v, and the sums over u are gone:

    w = (I + a_ek)^-1 (v - e_reads S_n)     y = q_reads S_n + a_qk w     S_(n+1) = kept S_n + k_writes^T w

The rows hold -e there, so that both cases differ in what is solved for and in nothing else.

    N chunks   X sequences and heads   M = N X, the chunk first   L positions of a chunk
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.ops.matrix_recurrence.scores import HeadDecay, KeyDecay, Plain
from seqarena.ops.matrix_recurrence.triangular import inverse_of_unit


class Solved(NamedTuple):
    """The inverse of I - a_ed (of I + a_ek), and u (or w)."""

    inverse_MLL: Tensor
    value_MLV: Tensor


class Segment:
    """The inputs of N chunks and what is computed from them."""

    def __init__(
        self,
        rows: list[Tensor],
        columns: list[Tensor],
        v_MLV: Tensor,
        log_decay_ML: Tensor | None,
        chunks: int,
        solved: Solved | None,
    ) -> None:
        """`rows` are the queries and, where something is erased, `erase`, with the opposite sign
        where `columns` are the keys alone (and no directions). `solved` is what an earlier
        `forward` returned (None: there was none)."""
        self.v_MLV, self.chunks, self.solved = v_MLV, chunks, solved
        if log_decay_ML is None:
            self.scores = Plain(rows, columns)
        elif log_decay_ML.shape[-1] == 1:
            self.scores = HeadDecay(rows, columns, log_decay_ML)
        else:
            self.scores = KeyDecay(rows, columns, log_decay_ML)
        self.pairs = self.scores.pairs()
        self.erases, self.along_key = len(rows) > 1, len(columns) == 1

    def forward(self, states: Tensor) -> Tensor:
        """The outputs y_MLV; fills in `states` [N + 1, X, K, V] after its first, and `solved` where
        something is erased."""
        reads, writes = self.scores.reads, self.scores.writes
        if self.erases:
            inverse_MLL = inverse_of_unit(self.pairs[1][-1])
            self.solved = Solved(inverse_MLL, torch.empty_like(self.v_MLV))
            self._solve(states)
        else:
            self._advance(states, torch.bmm(writes[0].mT, self.v_MLV))
        y_MLV = torch.bmm(reads[0], states[:-1].flatten(0, 1))
        for a_MLL, value_MLV in zip(self.pairs[0], self._values()):
            y_MLV.baddbmm_(a_MLL, value_MLV)
        return y_MLV

    def _values(self) -> list[Tensor]:
        """What the columns write: v, or w, or v and u."""
        if not self.erases:
            return [self.v_MLV]
        return [self.solved.value_MLV] if self.along_key else [self.v_MLV, self.solved.value_MLV]

    def _by_chunk(self, x_M: Tensor | None) -> list:
        """One tensor for each chunk."""
        if x_M is None:
            return [None] * self.chunks
        return list(x_M.unflatten(0, (self.chunks, -1)).unbind(0))

    def _advance(self, states: Tensor, added_MKV: Tensor) -> None:
        """Nothing is erased: each matrix from the one before it."""
        steps = states.unbind(0)
        kept, added = self._by_chunk(self.scores.kept), self._by_chunk(added_MKV)
        for n in range(self.chunks):
            if kept[n] is None:
                torch.add(steps[n], added[n], out=steps[n + 1])
            else:
                torch.addcmul(added[n], steps[n], kept[n], out=steps[n + 1])

    def _solve(self, states: Tensor) -> None:
        steps, reads, writes = states.unbind(0), self.scores.reads, self.scores.writes
        known_MLV = self.v_MLV
        if not self.along_key:
            known_MLV = torch.bmm(self.pairs[1][0], self.v_MLV)
        known, solved = self._by_chunk(known_MLV), self._by_chunk(self.solved.value_MLV)
        inverse, erase = self._by_chunk(self.solved.inverse_MLL), self._by_chunk(reads[1])
        kept = self._by_chunk(self.scores.kept)
        writers = list(zip(*(self._by_chunk(write.mT) for write in writes)))
        values = list(zip(*(self._by_chunk(value) for value in self._values())))
        for n in range(self.chunks):
            torch.bmm(inverse[n], torch.baddbmm(known[n], erase[n], steps[n]), out=solved[n])
            if kept[n] is None:
                steps[n + 1].copy_(steps[n])
            else:
                torch.mul(steps[n], kept[n], out=steps[n + 1])
            for write, value in zip(writers[n], values[n]):
                steps[n + 1].baddbmm_(write, value)

    def backward(
        self, dy_MLV: Tensor, states: Tensor, ds_XKV: Tensor
    ) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor | None, Tensor]:
        """The gradients of the rows, the columns, v and the logarithms of the decay, and of the
        first matrix, from those of the outputs and of the last matrix."""
        scores = self.scores
        dstates = torch.empty_like(states)
        dstates[-1].copy_(ds_XKV)
        dvalues = [torch.bmm(a_MLL.mT, dy_MLV) for a_MLL in self.pairs[0]]
        dread = [dy_MLV]
        if self.erases:
            dread.append(self._solve_back(dy_MLV, dvalues, dstates))
        else:
            self._retreat(dy_MLV, dstates)
            dvalues[0].baddbmm_(scores.writes[0], dstates[1:].flatten(0, 1))
        before_MKV, dafter_MKV = states[:-1].flatten(0, 1), dstates[1:].flatten(0, 1)
        values = self._values()
        da = [[torch.bmm(d, value.mT) for value in values] for d in dread]
        dreads = [torch.bmm(d, before_MKV.mT) for d in dread]
        dwrites = [torch.bmm(value, dafter_MKV.mT) for value in values]
        found = scores.backward(da, dreads, dwrites)
        dlog = found.log_sums
        if dlog is not None:
            beyond_MK = (states[1:] * dstates[1:]).sum(-1).flatten(0, 1)
            dlog[:, -1] += beyond_MK if dlog.shape[-1] > 1 else beyond_MK.sum(-1, keepdim=True)
            dlog = dlog.flip(1).cumsum(1).flip(1)
        if not self.erases:
            dv_MLV = dvalues[0]
        elif self.along_key:
            dv_MLV = dread[1]
        else:
            dv_MLV = dvalues[0].baddbmm_(self.pairs[1][0].mT, dread[1])
        return found.rows, found.columns, dv_MLV, dlog, dstates[0]

    def _retreat(self, dy_MLV: Tensor, dstates: Tensor) -> None:
        """`_advance` in reverse: the gradient of each matrix from that of the one after it."""
        steps = dstates.unbind(0)
        kept = self._by_chunk(self.scores.kept)
        added = self._by_chunk(torch.bmm(self.scores.reads[0].mT, dy_MLV))
        for n in reversed(range(self.chunks)):
            if kept[n] is None:
                torch.add(steps[n + 1], added[n], out=steps[n])
            else:
                torch.addcmul(added[n], steps[n + 1], kept[n], out=steps[n])

    def _solve_back(self, dy_MLV: Tensor, dvalues: list[Tensor], dstates: Tensor) -> Tensor:
        """`_solve` in reverse: the gradient of what it multiplies by the inverse. Completes
        `dvalues`."""
        steps, scores = dstates.unbind(0), self.scores
        dright_MLV = torch.empty_like(self.v_MLV)
        dright, dy = self._by_chunk(dright_MLV), self._by_chunk(dy_MLV)
        inverse, kept = self._by_chunk(self.solved.inverse_MLL.mT), self._by_chunk(scores.kept)
        query, erase = (self._by_chunk(read.mT) for read in scores.reads)
        writers = list(zip(*(self._by_chunk(write) for write in scores.writes)))
        found = list(zip(*(self._by_chunk(dvalue) for dvalue in dvalues)))
        for n in reversed(range(self.chunks)):
            for write, dvalue in zip(writers[n], found[n]):
                dvalue.baddbmm_(write, steps[n + 1])
            torch.bmm(inverse[n], found[n][-1], out=dright[n])
            if kept[n] is None:
                steps[n].copy_(steps[n + 1])
            else:
                torch.mul(steps[n + 1], kept[n], out=steps[n])
            steps[n].baddbmm_(query[n], dy[n]).baddbmm_(erase[n], dright[n])
        return dright_MLV
