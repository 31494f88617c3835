"""The decayed products of a chunk's positions with each other, and how the state's edges decay.

A row (a query, or what is erased) reads at position i what a column (a key, or a direction) wrote
at position j < i:

    a_ij = sum over k of row_ik exp(G_ik - G_jk) column_jk        G the sum of the logarithms so far

for queries also at j = i. The state before the chunk is read by `reads` = row exp(G_i), and goes on
as `kept` times itself plus what `writes` = column exp(G_L - G_j) add. Only decays over an interval
are formed, each as a product of numbers below 1: nothing overflows and no logarithm loses digits,
however strong a decay is.

    M sequences, heads and chunks together   L positions of a chunk, a power of two
    K features of a key   n blocks of 2h positions
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.ops.matrix_recurrence.triangular import diagonal_blocks

Pairs = list[list[Tensor]]  # [row][column] -> a_MLL
SMALL = 2  # blocks of so few positions are multiplied elementwise in the backward pass


class Gradients(NamedTuple):
    """Of the rows and the columns, and of each G_i but for what lies beyond the chunk."""

    rows: list[Tensor]
    columns: list[Tensor]
    log_sums: Tensor | None


class Plain:
    """Nothing decays."""

    kept: Tensor | None = None

    def __init__(self, rows: list[Tensor], columns: list[Tensor]) -> None:
        self.rows, self.columns = rows, columns
        self.reads, self.writes = rows, columns

    def pairs(self) -> Pairs:
        """a_MLL of each row with each column, zero where j > i."""
        return [
            [torch.bmm(row, column.mT).tril_(-(index > 0)) for column in self.columns]
            for index, row in enumerate(self.rows)
        ]

    def backward(self, da: Pairs, dreads: list[Tensor], dwrites: list[Tensor]) -> Gradients:
        """From the gradients of `pairs` (where j > i they are free), `reads` and `writes`, which
        it overwrites."""
        for index, (row, dread) in enumerate(zip(self.rows, dreads)):
            for column, dwrite, da_MLL in zip(self.columns, dwrites, da[index]):
                da_MLL.tril_(-(index > 0))
                dread.baddbmm_(da_MLL, column)
                dwrite.baddbmm_(da_MLL.mT, row)
        return Gradients(dreads, dwrites, None)


class HeadDecay:
    """One decay a head: a mask of decays [M, L, L] multiplies the plain products.

    Rows and columns may be shared by `heads` heads that follow each other in M; their products are
    computed once.
    """

    def __init__(self, rows: list[Tensor], columns: list[Tensor], log_decay_ML1: Tensor) -> None:
        self.rows, self.columns = rows, columns
        self.heads = log_decay_ML1.shape[0] // columns[0].shape[0]
        self._build(log_decay_ML1.exp())
        self.reads = [self._spread(row) * self.before_ML1 for row in rows]
        self.writes = [self._spread(column) * self.after_ML1 for column in columns]
        self.kept = self.before_ML1[:, -1:]

    def _build(self, decay_ML1: Tensor) -> None:
        """The mask below its diagonal, and the decays from the chunk's start and to its end."""
        M, size, _ = decay_ML1.shape
        self.mask_MLL = decay_ML1.new_zeros(M, size, size)
        before, after = decay_ML1.clone(), torch.ones_like(decay_ML1)
        half = 1
        while half < size:
            first, second = _halves(before, half)
            first_after, second_after = _halves(after, half)
            block = diagonal_blocks(self.mask_MLL, 2 * half)[:, :, half:, :half]
            torch.mul(second, first_after.mT, out=block)
            first_after.mul_(second[:, :, -1:])
            second.mul_(first[:, :, -1:])
            half *= 2
        self.before_ML1, self.after_ML1 = before, after

    def _spread(self, x: Tensor) -> Tensor:
        """A view or copy with every head's own: [M, L, K]."""
        return x if self.heads == 1 else x.repeat_interleave(self.heads, 0)

    def _gather(self, x_M: Tensor) -> Tensor:
        return x_M if self.heads == 1 else x_M.unflatten(0, (-1, self.heads)).sum(1)

    def pairs(self) -> Pairs:
        """a_MLL of each row with each column, zero where j > i."""
        found = []
        for index, row in enumerate(self.rows):
            plain = [torch.bmm(row, column.mT) for column in self.columns]
            found.append([self._spread(p_MLL) * self.mask_MLL for p_MLL in plain])
            if index == 0:
                for a_MLL, p_MLL in zip(found[0], plain):
                    a_MLL.diagonal(0, 1, 2).copy_(self._spread(p_MLL.diagonal(0, 1, 2)))
        self.found = found
        return found

    def backward(self, da: Pairs, dreads: list[Tensor], dwrites: list[Tensor]) -> Gradients:
        """From the gradients of `pairs` (where j > i they are free), `reads` and `writes`, which
        it overwrites."""
        log_sums = sum((self.reads[i] * dreads[i]).sum(-1) for i in range(len(dreads)))
        for write, dwrite in zip(self.writes, dwrites):
            log_sums = log_sums - (write * dwrite).sum(-1)
        drows = [self._gather(dread.mul_(self.before_ML1)) for dread in dreads]
        dcolumns = [self._gather(dwrite.mul_(self.after_ML1)) for dwrite in dwrites]
        for i, (row, drow) in enumerate(zip(self.rows, drows)):
            for j, (column, dcolumn) in enumerate(zip(self.columns, dcolumns)):
                da_MLL = da[i][j]
                diagonal_ML = da_MLL.diagonal(0, 1, 2).clone() if i == 0 else None
                da_MLL.diagonal(0, 1, 2).zero_()
                both_MLL = (da_MLL * self.found[i][j]).tril_(-1)
                log_sums = log_sums + both_MLL.sum(2) - both_MLL.sum(1)
                da_MLL.mul_(self.mask_MLL)
                if diagonal_ML is not None:
                    da_MLL.diagonal(0, 1, 2).copy_(diagonal_ML)
                da_MLL = self._gather(da_MLL)
                drow.baddbmm_(da_MLL, column)
                dcolumn.baddbmm_(da_MLL.mT, row)
        return Gradients(drows, dcolumns, log_sums[..., None])


class KeyDecay:
    """A decay a key, by halves: the second half of each block of 2h positions reads the first.

    Row i is scaled by the decay since the half's start, column j by that to the half's end; both
    are products along an interval. The next level's scales follow by one more factor for one half.
    """

    def __init__(self, rows: list[Tensor], columns: list[Tensor], log_decay_MLK: Tensor) -> None:
        self.rows, self.columns = rows, columns
        self.decay_MLK = log_decay_MLK.exp()
        self.levels: list[tuple[Tensor, list[Tensor], list[Tensor]]] = []

    def pairs(self) -> Pairs:
        """a_MLL of each row with each column, zero where j > i."""
        M, size, _ = self.decay_MLK.shape
        found = [[x.new_zeros(M, size, size) for _ in self.columns] for x in self.rows]
        reads = [row * self.decay_MLK for row in self.rows]
        writes = [column.clone() for column in self.columns]
        total, half = self.decay_MLK, 1
        while half < size:
            seconds = [_halves(read, half)[1].contiguous() for read in reads]
            firsts = [_halves(write, half)[0].contiguous() for write in writes]
            for second, into in zip(seconds, found):
                for first, a_MLL in zip(firsts, into):
                    block = torch.bmm(second.flatten(0, 1), first.flatten(0, 1).mT)
                    view = diagonal_blocks(a_MLL, 2 * half)[:, :, half:, :half]
                    view.copy_(block.view(view.shape))
            self.levels.append((total, seconds, firsts))
            earlier, later = total[:, 0::2, None], total[:, 1::2, None]
            for read in reads:
                _halves(read, half)[1].mul_(earlier)
            for write in writes:
                _halves(write, half)[0].mul_(later)
            total = total[:, 0::2] * total[:, 1::2]
            half *= 2
        for column, a_MLL in zip(self.columns, found[0]):
            a_MLL.diagonal(0, 1, 2).copy_((self.rows[0] * column).sum(-1))
        self.reads, self.writes, self.kept = reads, writes, total.mT
        return found

    def backward(self, da: Pairs, dreads: list[Tensor], dwrites: list[Tensor]) -> Gradients:
        """From the gradients of `pairs` (where j > i they are free), `reads` and `writes`, which
        it overwrites."""
        half = self.decay_MLK.shape[1] // 2
        for total, seconds, firsts in reversed(self.levels):
            dseconds = [_halves(dread, half)[1] for dread in dreads]
            dfirsts = [_halves(dwrite, half)[0] for dwrite in dwrites]
            for dsecond in dseconds:
                dsecond.mul_(total[:, 0::2, None])
            for dfirst in dfirsts:
                dfirst.mul_(total[:, 1::2, None])
            for i, (second, dsecond) in enumerate(zip(seconds, dseconds)):
                for first, dfirst, da_MLL in zip(firsts, dfirsts, da[i]):
                    block = diagonal_blocks(da_MLL, 2 * half)[:, :, half:, :half]
                    _accumulate(block, second, first, dsecond, dfirst)
            half //= 2
        for dread in dreads:
            dread.mul_(self.decay_MLK)
        log_sums = sum(row * drow for row, drow in zip(self.rows, dreads))
        for column, dcolumn in zip(self.columns, dwrites):
            log_sums = log_sums.addcmul_(column, dcolumn, value=-1.0)
        for column, dcolumn, da_MLL in zip(self.columns, dwrites, da[0]):
            diagonal_ML1 = da_MLL.diagonal(0, 1, 2)[..., None]
            dreads[0].addcmul_(diagonal_ML1, column)
            dcolumn.addcmul_(diagonal_ML1, self.rows[0])
        return Gradients(dreads, dwrites, log_sums)


def _accumulate(
    block: Tensor, second: Tensor, first: Tensor, dsecond: Tensor, dfirst: Tensor
) -> None:
    """The gradients of the product of two halves [M, n, h, K], added into views."""
    half = second.shape[2]
    if half > SMALL:
        block = block.reshape(-1, half, half)
        for into, left, right in ((dsecond, block, first), (dfirst, block.mT, second)):
            into += torch.bmm(left, right.flatten(0, 1)).view(into.shape)
        return
    for index in range(half):
        dsecond.addcmul_(block[:, :, :, index, None], first[:, :, None, index])
        dfirst.addcmul_(block[:, :, index, :, None], second[:, :, None, index])


def _halves(x_MLK: Tensor, half: int) -> tuple[Tensor, Tensor]:
    """The first and the second half of each block of 2h positions: views [M, n, h, K]."""
    blocks = x_MLK.unflatten(1, (-1, 2, half))
    return blocks[:, :, 0], blocks[:, :, 1]
