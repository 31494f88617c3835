"""The inverse of unit triangular matrices by blocks: stable where powers of the matrix overflow.

    (I - N)^-1 = [P, 0; R N_21 P, R]     P and R the inverses of the two blocks on the diagonal

Blocks of 4 rows are inverted entry by entry; then two blocks become one, log2(L / 4) times.

    M matrices   L rows, a power of two   n blocks of h rows
"""

import torch
from torch import Tensor

SMALLEST = 4  # rows of a block that is inverted entry by entry


def inverse_of_unit(lower_MLL: Tensor) -> Tensor:
    """(I - N)^-1, N what is strictly below the diagonal of `lower_MLL`."""
    inverse_MLL = torch.zeros_like(lower_MLL)
    inverse_MLL.diagonal(0, 1, 2).fill_(1.0)
    size = lower_MLL.shape[-1]
    half = min(size, SMALLEST)
    _substitute(diagonal_blocks(lower_MLL, half), diagonal_blocks(inverse_MLL, half))
    while half < size:
        blocks = diagonal_blocks(inverse_MLL, half)
        first, second = (blocks[:, i::2].reshape(-1, half, half) for i in range(2))
        corner = diagonal_blocks(lower_MLL, 2 * half)[:, :, half:, :half]
        found = torch.bmm(torch.bmm(second, corner.reshape(-1, half, half)), first)
        diagonal_blocks(inverse_MLL, 2 * half)[:, :, half:, :half] = found.view(corner.shape)
        half *= 2
    return inverse_MLL


def diagonal_blocks(x_MLL: Tensor, size: int) -> Tensor:
    """The square blocks on the diagonal as a view [M, n, size, size]."""
    shape = (x_MLL.shape[-1] // size, size)
    return x_MLL.unflatten(2, shape).unflatten(1, shape).diagonal(0, 1, 3).movedim(-1, 1)


def _substitute(lower: Tensor, inverse: Tensor) -> None:
    """Fills in the blocks [M, n, h, h] of the inverse by forward substitution, row by row."""
    for row in range(1, lower.shape[-1]):
        for column in range(row):
            entry = inverse[:, :, row, column]
            entry.copy_(lower[:, :, row, column])
            for between in range(column + 1, row):
                entry.addcmul_(lower[:, :, row, between], inverse[:, :, between, column])
