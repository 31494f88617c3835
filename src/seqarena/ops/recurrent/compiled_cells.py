"""What the compiled forms of the cells share: each walks along time in one call of a kernel
(`ops/kernels/cells.py`), and takes the weights' gradients in one product as the stepwise forms do.

The product with the hidden state is one of float32 under autocast too (float64 in float64): it is
part of the kernel.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.kernels.arrays import flat, is_traced, unless_recorded
from seqarena.ops.kernels.sharing import share_out

if TYPE_CHECKING:
    from seqarena.ops.kernels.compiling import Kernel


def runs_stepwise(x_BTD: Tensor) -> bool:
    """Where a kernel is not for: a graph is recorded, or one position is decoded, for which the
    weights would be laid out anew."""
    return is_traced(x_BTD) or recurrent.is_decoding(x_BTD)


def apply(
    form: type[torch.autograd.Function], weight: Tensor, x_BTD: Tensor, *arguments: Any
) -> Any:
    """form(x_BTD, *arguments, dtype of the input's product)."""
    dtype = recurrent.product_dtype(x_BTD, weight)
    with recurrent.without_autocast(x_BTD):
        return form.apply(*unless_recorded(x_BTD, *arguments), dtype)


def input_part(x_BTD: Tensor, weight_FD: Tensor, bias_F: Tensor, like: Tensor) -> Tensor:
    """The input's part of all gates at all positions, in the dtype of the state `like`."""
    out_BTF = like.new_empty(*x_BTD.shape[:2], len(bias_F))
    return recurrent.project_inputs(x_BTD, weight_FD, bias_F, out_BTF)


def over_sequences(kernel: "Kernel", like_BTE: Tensor, *arguments: Any) -> None:
    """The kernel over all sequences; tensors among the arguments become flat arrays."""
    sequences, length, width = like_BTE.shape
    arrays = (array(x) if isinstance(x, Tensor) else x for x in arguments)
    share_out(kernel, sequences, like_BTE.numel() * width, length, width, *arrays)


def array(x: Tensor) -> np.ndarray:
    """As one piece of memory."""
    return flat(x.contiguous())


def states_before(h_BTE: Tensor, start_BE: Tensor) -> Tensor:
    """h_{t-1} at every position."""
    return torch.cat((start_BE[:, None], h_BTE[:, :-1]), 1)
