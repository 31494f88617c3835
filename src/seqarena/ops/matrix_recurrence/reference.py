"""The recurrence over a matrix as written, one position after another, under autograd."""

from collections.abc import Iterator

import torch
from torch import Tensor

from seqarena.ops.matrix_recurrence import matrix_recurrence


@matrix_recurrence.truth("loop", serial_steps=lambda length, chunk_size: length)
def loop(
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTV: Tensor,
    s_BHKV: Tensor,
    log_decay: Tensor | None,
    erase_BHTK: Tensor | None,
    direction_BHTK: Tensor | None,
    _chunk_size: int,
) -> tuple[Tensor, Tensor]:
    """The outputs and the matrices after them."""
    if direction_BHTK is None:
        direction_BHTK = -k_BHTK
    outputs = []
    length = q_BHTK.shape[2]
    for q_BHK, k_BHK, v_BHV, decay, erase_BHK, direction_BHK in zip(
        *(x.unbind(2) for x in (q_BHTK, k_BHTK, v_BHTV)),
        _steps(None if log_decay is None else log_decay.exp(), length),
        _steps(erase_BHTK, length),
        direction_BHTK.unbind(2),
    ):
        if decay is not None:
            s_BHKV = decay[..., None] * s_BHKV
        written_BHKV = k_BHK[..., :, None] * v_BHV[..., None, :]
        if erase_BHK is not None:
            found_BH1V = erase_BHK[..., None, :] @ s_BHKV
            written_BHKV = written_BHKV + direction_BHK[..., :, None] * found_BH1V
        s_BHKV = s_BHKV + written_BHKV
        outputs.append((q_BHK[..., None, :] @ s_BHKV)[..., 0, :])
    return torch.stack(outputs, dim=2), s_BHKV


def _steps(x_BHTK: Tensor | None, length: int) -> Iterator[Tensor | None]:
    return iter([None] * length if x_BHTK is None else x_BHTK.unbind(2))
