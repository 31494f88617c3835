"""Matrix products inside blocks, and FFTs from the first half of every longer block to its second.

A block of 2 S positions needs from its first half only the last R = min(S, K - 1) inputs, and gives
them to the first R outputs of its second half; the circular convolution of 2 R positions holds
those in its own second half, and what comes round lies in its first.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.ops.long_convolution import long_convolution
from seqarena.ops.long_convolution.shared import single_position, spectral_product

BLOCK_LENGTH = 64


def serial_steps(length: int) -> int:
    """The product inside blocks; the FFTs of all block lengths do not wait for each other, only
    their sums do."""
    levels = max(0, math.ceil(math.log2(length / BLOCK_LENGTH)))
    longest = 2 * math.ceil(math.log2(2 * length)) + 1
    return 1 + levels + (longest if levels else 0)


@long_convolution.algorithm("halves", serial_steps=serial_steps)
def halves(x_BTD: Tensor, kernel_KD: Tensor, past_BPD: Tensor) -> Tensor:
    """y_BTD."""
    length = x_BTD.shape[1]
    if length == 1:
        return single_position(x_BTD, kernel_KD, past_BPD)
    x_BDT, kernel_DK = x_BTD.transpose(1, 2).contiguous(), kernel_KD.t()
    y_BDT = _inside_blocks(x_BDT, kernel_DK)
    half = BLOCK_LENGTH
    while half < length:
        y_BDT = y_BDT + _across_halves(x_BDT, kernel_DK, half)
        half *= 2
    if past_BPD.shape[1]:
        y_BDT = y_BDT + _from_past(past_BPD.transpose(1, 2), kernel_DK, length)
    return y_BDT.transpose(1, 2)


def _inside_blocks(x_BDT: Tensor, kernel_DK: Tensor) -> Tensor:
    """What the inputs of each block give to the outputs of the same block."""
    batch, width, length = x_BDT.shape
    size = min(BLOCK_LENGTH, length)
    blocks = -(-length // size)
    kernel_DL = F.pad(kernel_DK[:, :size], (0, max(0, size - kernel_DK.shape[1])))
    # row j holds the filter from column j on: windows over zeros followed by the filter
    matrix_DLL = F.pad(kernel_DL, (size - 1, 0)).unfold(1, size, 1).flip(1)
    x_BDCL = F.pad(x_BDT, (0, blocks * size - length)).view(batch, width, blocks, size)
    x_DRL = x_BDCL.transpose(0, 1).reshape(width, batch * blocks, size)
    y_DBT = torch.bmm(x_DRL, matrix_DLL).view(width, batch, blocks * size)
    return y_DBT[..., :length].transpose(0, 1)


def _across_halves(x_BDT: Tensor, kernel_DK: Tensor, half: int) -> Tensor:
    """What the first half of each block of 2 * `half` positions gives to its second."""
    length = x_BDT.shape[2]
    blocks = -(-(length - half) // (2 * half))  # those whose second half begins before the end
    reach = min(half, kernel_DK.shape[1] - 1)
    if reach == 0:
        return torch.zeros_like(x_BDT)
    x_BDCS = F.pad(x_BDT, (0, blocks * 2 * half - length)).unflatten(2, (blocks, 2 * half))
    first_BDCR = x_BDCS[..., half - reach : half]
    kernel_D1S = kernel_DK[:, None, : 2 * reach]
    given_BDCR = spectral_product(first_BDCR, kernel_D1S, 2 * reach, reach)
    y_BDS = F.pad(given_BDCR, (half, half - reach)).flatten(2)
    return F.pad(y_BDS, (0, length - y_BDS.shape[2]))


def _from_past(past_BDP: Tensor, kernel_DK: Tensor, length: int) -> Tensor:
    """What the past gives to the outputs of the call."""
    past = past_BDP.shape[2]
    return spectral_product(past_BDP, kernel_DK, past + length, past)
