"""What the recurrent cells share: time-major buffers, products under autocast, last states.

The cells are the operations `elman`, `lstm`, `gru` and `gru_reset_before`. Their forms:

    loop      the slow truth: the published step, once for each position, under autograd
    fused     the library's kernel (none resets before the product)
    stepwise  our own: the input product of all positions at once, one small product a position with
              in-place gate arithmetic, and a hand-written backward that walks back once and takes
              all weight gradients in one product

Letters beyond the legend's: E features of the hidden state, F stacked gates (a multiple of E),
S states in a row, the start included (T + 1). Stepwise buffers are time-major, so that each step
works on contiguous rows.

A single position without gradients (decoding) has nothing to gather: the fused LSTM then calls the
library's kernel for one step, and the stepwise forms compute the published step.

Why the local slopes come first in the backward: the gradient of each gate is the incoming gradient
times a slope that depends on the forward values only. All slopes are taken in a few large
operations; the walk back through time is left with a product and very few small ones.
"""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from seqarena.core.products import small_products

Hidden = TypeVar("Hidden")

# positions of one call of the library's kernel: cuDNN takes no more (pytorch issue 133751)
LONGEST_CALL = 65_535


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype a recurrence is kept in: never below float32."""
    return torch.promote_types(dtype, torch.float32)


def product_dtype(x: Tensor, weight: Tensor) -> torch.dtype:
    """The dtype of the matrix products: autocast's where it is on, else that of the weights."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return weight.dtype


def without_autocast(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Inside, products run in the dtype they are given: the stepwise forms choose it themselves."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return contextlib.nullcontext()


def is_decoding(x_BTD: Tensor) -> bool:
    """One position and no gradients."""
    return x_BTD.shape[1] == 1 and not torch.is_grad_enabled()


def apply_stepwise(
    form: type[torch.autograd.Function], weight: Tensor, x_BTD: Tensor, *arguments: Any
) -> Any:
    """A stepwise form on time-major inputs: form(x_TBD, *arguments, product dtype)."""
    dtype = product_dtype(x_BTD, weight)
    with without_autocast(x_BTD):
        return form.apply(x_BTD.transpose(0, 1), *arguments, dtype)


def add_product(out_BF: Tensor, x_BE: Tensor, weight_EF: Tensor) -> None:
    """out_BF += x_BE @ weight_EF in place, multiplied in the weight's dtype, summed in out's."""
    if weight_EF.dtype == out_BF.dtype:
        with small_products(len(x_BE) * weight_EF.numel()):
            out_BF.addmm_(x_BE, weight_EF)
    else:
        out_BF.add_(x_BE.to(weight_EF.dtype) @ weight_EF)


def laid_out(weight_FE: Tensor, steps: int) -> Tensor:
    """The transpose, copied where many steps repay it: small products read it 1.5 times faster."""
    return weight_FE.t() if steps == 1 else weight_FE.t().contiguous()


def project_inputs(x_TBD: Tensor, weight_FD: Tensor, bias_F: Tensor, out_TBF: Tensor) -> Tensor:
    """Writes the input's part of all gates at all positions into `out_TBF`, in one product."""
    x_ND = x_TBD.to(weight_FD.dtype).reshape(-1, x_TBD.shape[2])
    out_NF = out_TBF.view(len(x_ND), -1)
    if weight_FD.dtype == out_TBF.dtype:
        torch.addmm(bias_F.to(out_TBF.dtype), x_ND, weight_FD.t(), out=out_NF)
    else:
        out_NF.copy_(x_ND @ weight_FD.t()).add_(bias_F)
    return out_TBF


def weight_gradient(gradient_TBF: Tensor, x_TBD: Tensor, dtype: torch.dtype) -> Tensor:
    """The gradient of a weight [F, D] that made F from D at every position, in one product."""
    gradient_NF = gradient_TBF.flatten(0, 1).to(dtype)
    return gradient_NF.t() @ x_TBD.to(dtype).flatten(0, 1)


def pick_last(h_BTE: Tensor, start_BE: Tensor, lengths_B: Tensor | None) -> Tensor:
    """The state after each row's last real position: the start where a row has none."""
    if lengths_B is None:
        return h_BTE[:, -1].clone()  # a view would keep the states of all positions alive
    index_B1E = (lengths_B - 1).clamp(min=0)[:, None, None].expand(-1, 1, h_BTE.shape[2])
    return torch.where((lengths_B > 0)[:, None], h_BTE.gather(1, index_B1E)[:, 0], start_BE)


def in_pieces(
    kernel: Callable[[Tensor, Hidden], tuple[Tensor, Hidden]], x_BTD: Tensor, hidden: Hidden
) -> tuple[Tensor, Hidden]:
    """`kernel(x_BTD, hidden)`, called on at most LONGEST_CALL positions at a time, each piece from
    the state that the one before left."""
    if x_BTD.shape[1] <= LONGEST_CALL:
        return kernel(x_BTD, hidden)
    outputs = []
    for piece_BTD in x_BTD.split(LONGEST_CALL, dim=1):
        y_BTE, hidden = kernel(piece_BTD, hidden)
        outputs.append(y_BTE)
    return torch.cat(outputs, dim=1), hidden
