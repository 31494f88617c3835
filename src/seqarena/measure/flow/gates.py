"""Gates that read nothing: what is left of a gated network when its gates are their biases alone.

A gate sigmoid(W x_t + U h_(t-1) + b) with its rows of W and U set to zero is the constant
sigmoid(b). So a network with held gates has the biases of the other, and no gating.
"""

from typing import Any

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.models.model import Model

_GATES = (0, 1, 3)  # of the rows i, f, g, o (ops/recurrent/lstm): the candidate g is no gate


@torch.no_grad()
def hold_gates(model: Model) -> None:
    """Holds every LSTM layer's gates at their biases. Raises UserError for a model without one."""
    layers: list[Any] = [m for m in model.modules() if _is_lstm(getattr(m, "recurrent_FE", None))]
    if not layers:
        raise UserError("held gates are of an LSTM: this model has no such layer")
    for layer in layers:
        for matrix in (layer.input_FD, layer.recurrent_FE):
            rows = matrix.chunk(4)
            for gate in _GATES:
                rows[gate].zero_()


def _is_lstm(recurrent_FE: Any) -> bool:
    return isinstance(recurrent_FE, Tensor) and recurrent_FE.shape[0] == 4 * recurrent_FE.shape[1]
