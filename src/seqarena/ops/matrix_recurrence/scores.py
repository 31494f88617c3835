"""The decayed products of a chunk's positions with each other, and how its edges decay.

A row (a query, or what is erased) reads at position i what a column (a key, or a direction) wrote
at position j < i:

    a_ij = sum over k of row_ik exp(G_ik - G_jk) column_jk        G the sum of the logarithms so far

for queries also at j = i. The state before the chunk is read by `reads` = row exp(G_i), and goes on
as `kept` times itself plus what `writes` = column exp(G_L - G_j) add. Only decays over an interval
are formed, each as a product of numbers below 1: nothing overflows and no logarithm loses digits,
however strong a decay is.

    M sequences, heads and chunks together   L positions of a chunk, a power of two
    R rows of a position (query, erase)   C columns of a position (key, direction)
    K features of a key   n blocks of 2h positions
"""

from typing import NamedTuple

import torch
from torch import Tensor

SMALL = 2  # blocks of so few positions are multiplied elementwise in the backward pass


class Gradients(NamedTuple):
    """Of the rows, the columns and the logarithms of the decay, for these but for what passes
    through the whole chunk."""

    rows_MLRK: Tensor
    columns_MLCK: Tensor
    log_decay: Tensor | None


class Plain:
    """Nothing decays."""

    kept: Tensor | None = None

    def __init__(self, rows_MLRK: Tensor, columns_MLCK: Tensor) -> None:
        self.reads_MLRK, self.writes_MLCK = rows_MLRK, columns_MLCK
        L, R, C = *rows_MLRK.shape[1:3], columns_MLCK.shape[2]
        mask_LRLC = rows_MLRK.new_ones(R, C, L, L).tril_()
        mask_LRLC[1:].tril_(-1)
        self.mask_PQ = mask_LRLC.permute(2, 0, 3, 1).reshape(L * R, L * C)

    def pairs(self) -> Tensor:
        """a_MPQ, P rows and Q columns of all positions; zero where a row does not read."""
        return torch.bmm(self.reads_MLRK.flatten(1, 2), self.writes_MLCK.flatten(1, 2).mT).mul_(
            self.mask_PQ
        )

    def backward(self, da_MPQ: Tensor, _a: Tensor, dreads: Tensor, dwrites: Tensor) -> Gradients:
        """From the gradients of `pairs` (free where a row does not read), `reads` and `writes`,
        which it overwrites."""
        da_MPQ.mul_(self.mask_PQ)
        dreads.flatten(1, 2).baddbmm_(da_MPQ, self.writes_MLCK.flatten(1, 2))
        dwrites.flatten(1, 2).baddbmm_(da_MPQ.mT, self.reads_MLRK.flatten(1, 2))
        return Gradients(dreads, dwrites, None)


class HeadDecay:
    """One decay a head: a mask of decays multiplies the plain products.

    Rows and columns may be shared by `heads` heads that follow each other in M; their products are
    computed once.
    """

    def __init__(self, rows_MLRK: Tensor, columns_MLCK: Tensor, log_decay_ML1: Tensor) -> None:
        self.rows, self.columns = rows_MLRK, columns_MLCK
        self.heads = log_decay_ML1.shape[0] // columns_MLCK.shape[0]
        self._build(log_decay_ML1.exp(), rows_MLRK.shape[2], columns_MLCK.shape[2])
        self.reads_MLRK = self._per_head(rows_MLRK, self.before_ML11)
        self.writes_MLCK = self._per_head(columns_MLCK, self.after_ML11)
        self.kept = self.before_ML11[:, -1:, 0]

    def _build(self, decay_ML1: Tensor, R: int, C: int) -> None:
        """The mask, and the decays from the chunk's start and to its end."""
        M, size, _ = decay_ML1.shape
        mask = decay_ML1.new_zeros(M, size, R, size, C)
        mask.diagonal(0, 1, 3)[:, 0] = 1.0
        before, after = decay_ML1.clone(), torch.ones_like(decay_ML1)
        half = 1
        while half < size:
            shape = (M, size // (2 * half), 2, half, 1)
            (first, second), (first_after, _) = (x.view(shape).unbind(2) for x in (before, after))
            _corners(mask, half).copy_((second * first_after.mT)[:, :, :, None, :, None])
            first_after.mul_(second[:, :, -1:])
            second.mul_(first[:, :, -1:])
            half *= 2
        self.mask_MPQ = mask.view(M, size * R, size * C)
        self.before_ML11, self.after_ML11 = before[..., None], after[..., None]

    def _per_head(self, x_M: Tensor, factor_M: Tensor) -> Tensor:
        """The product with a factor of each head, where `x_M` may be shared by several."""
        if self.heads == 1:
            return x_M * factor_M
        return (x_M[:, None] * factor_M.unflatten(0, (-1, self.heads))).flatten(0, 1)

    def _over_heads(self, x_M: Tensor) -> Tensor:
        return x_M if self.heads == 1 else x_M.unflatten(0, (-1, self.heads)).sum(1)

    def pairs(self) -> Tensor:
        """a_MPQ, P rows and Q columns of all positions; zero where a row does not read."""
        plain = torch.bmm(self.rows.flatten(1, 2), self.columns.flatten(1, 2).mT)
        return (
            plain.mul_(self.mask_MPQ) if self.heads == 1 else self._per_head(plain, self.mask_MPQ)
        )

    def backward(self, da_MPQ: Tensor, a_MPQ: Tensor, dreads: Tensor, dwrites: Tensor) -> Gradients:
        """From the gradients of `pairs` (free where a row does not read), `reads` and `writes`,
        which it overwrites."""
        size, R, C = *self.rows.shape[1:3], self.columns.shape[2]
        both = (da_MPQ * a_MPQ).view(-1, size, R, size, C)
        both.diagonal(0, 1, 3).zero_()  # no decay is between a position and itself
        inside_ML = both.sum((2, 3, 4)) - both.sum((1, 2, 4))
        inside_ML += (self.reads_MLRK * dreads).sum((2, 3))
        onward_ML = (self.writes_MLCK * dwrites).sum((2, 3))
        dlog_ML1 = _along_time(inside_ML[..., None], onward_ML[..., None])
        da_MPQ = self._over_heads(da_MPQ.mul_(self.mask_MPQ))
        drows = self._over_heads(dreads.mul_(self.before_ML11))
        dcolumns = self._over_heads(dwrites.mul_(self.after_ML11))
        drows.flatten(1, 2).baddbmm_(da_MPQ, self.columns.flatten(1, 2))
        dcolumns.flatten(1, 2).baddbmm_(da_MPQ.mT, self.rows.flatten(1, 2))
        return Gradients(drows, dcolumns, dlog_ML1)


class KeyDecay:
    """A decay a key, by halves: the second half of each block of 2h positions reads the first.

    Row i is scaled by the decay since the half's start, column j by that to the half's end; both
    are products along an interval. The next level's scales follow by one more factor for one half.
    """

    def __init__(self, rows_MLRK: Tensor, columns_MLCK: Tensor, log_decay_MLK: Tensor) -> None:
        self.rows, self.columns = rows_MLRK, columns_MLCK
        self.decay_MLK = log_decay_MLK.exp()
        self.levels: list[tuple[Tensor, Tensor, Tensor]] = []
        self.reads_MLRK, self.writes_MLCK = (
            rows_MLRK * self.decay_MLK[:, :, None],
            columns_MLCK.clone(),
        )
        total, half = self.decay_MLK, 1
        while half < rows_MLRK.shape[1]:
            second, first = _second(self.reads_MLRK, half), _first(self.writes_MLCK, half)
            self.levels.append((total, second.contiguous(), first.contiguous()))
            second.mul_(total[:, 0::2, None, None])
            first.mul_(total[:, 1::2, None, None])
            total = total[:, 0::2] * total[:, 1::2]
            half *= 2
        self.kept = total.mT

    def pairs(self) -> Tensor:
        """a_MPQ, P rows and Q columns of all positions; zero where a row does not read."""
        (M, size, R, _), C = self.rows.shape, self.columns.shape[2]
        a = self.rows.new_zeros(M, size, R, size, C)
        half = 1
        for _, second, first in self.levels:
            block = torch.bmm(
                second.view(-1, half * R, second.shape[-1]),
                first.view(-1, half * C, first.shape[-1]).mT,
            )
            _corners(a, half).copy_(block.view(M, -1, half, R, half, C))
            half *= 2
        a.diagonal(0, 1, 3)[:, 0] = (self.rows[:, :, :1] * self.columns).sum(-1).mT
        return a.view(M, size * R, size * C)

    def backward(self, da_MPQ: Tensor, _a: Tensor, dreads: Tensor, dwrites: Tensor) -> Gradients:
        """From the gradients of `pairs` (free where a row does not read), `reads` and `writes`,
        which it overwrites."""
        (M, size, R, K), C = self.rows.shape, self.columns.shape[2]
        da = da_MPQ.view(M, size, R, size, C)
        half = size // 2
        onward_MLK = (self.writes_MLCK * dwrites).sum(2)
        for total, second, first in reversed(self.levels):
            dsecond = _second(dreads, half).mul_(total[:, 0::2, None, None])
            dfirst = _first(dwrites, half).mul_(total[:, 1::2, None, None])
            block = _corners(da, half)
            if half > SMALL:
                block = block.reshape(-1, half * R, half * C)
                dsecond += torch.bmm(block, first.view(-1, half * C, K)).view(second.shape)
                dfirst += torch.bmm(block.mT, second.view(-1, half * R, K)).view(first.shape)
            else:
                for column in range(half * C):
                    j, c = divmod(column, C)
                    dsecond.addcmul_(block[:, :, :, :, j, c, None], first[:, :, None, j, c, None])
                for row in range(half * R):
                    i, r = divmod(row, R)
                    dfirst.addcmul_(block[:, :, i, r, :, :, None], second[:, :, None, i, r, None])
            half //= 2
        dreads.mul_(self.decay_MLK[:, :, None])
        inside_MLK = (self.rows * dreads).sum(2)
        inside_MLK -= (self.columns * dwrites).sum(2).sub_(onward_MLK)
        own_MLC1 = da.diagonal(0, 1, 3)[:, 0].mT[..., None]  # a query reads its own position
        dreads[:, :, 0] += (own_MLC1 * self.columns).sum(2)
        dwrites.addcmul_(own_MLC1, self.rows[:, :, :1])
        return Gradients(dreads, dwrites, _along_time(inside_MLK, onward_MLK))


def _along_time(inside_MLK: Tensor, onward_MLK: Tensor) -> Tensor:
    """The gradients of the logarithms of the decay from those of their sums G.

    A decay is felt by what is read from its position on, less what is written there and read
    inside the chunk (`inside`), and by what was written before it and read beyond the chunk
    (`onward`). Each sum holds only what its decays have already made small: no difference of large
    numbers remains of a strong decay.
    """
    L = inside_MLK.shape[1]
    ones_LL = inside_MLK.new_ones(L, L)
    later_MLL, earlier_MLL = (
        x.expand(inside_MLK.shape[0], L, L) for x in (ones_LL.triu(), ones_LL.tril(-1))
    )
    return torch.baddbmm(torch.bmm(later_MLL, inside_MLK), earlier_MLL, onward_MLK)


def _corners(a_MLRLC: Tensor, half: int) -> Tensor:
    """Where second halves read first halves, as a view [M, n, h, R, h, C]."""
    M, L, R, _, C = a_MLRLC.shape
    n = L // (2 * half)
    blocks = a_MLRLC.view(M, n, 2, half, R, n, 2, half, C)[:, :, 1, :, :, :, 0]
    return blocks.diagonal(0, 1, 4).movedim(-1, 1)


def _first(x_MLRK: Tensor, half: int) -> Tensor:
    """The first half of each block of 2h positions: a view [M, n, h, R, K]."""
    M, L, R, K = x_MLRK.shape
    return x_MLRK.view(M, L // (2 * half), 2, half, R, K)[:, :, 0]


def _second(x_MLRK: Tensor, half: int) -> Tensor:
    """The second half of each block of 2h positions: a view [M, n, h, R, K]."""
    M, L, R, K = x_MLRK.shape
    return x_MLRK.view(M, L // (2 * half), 2, half, R, K)[:, :, 1]
