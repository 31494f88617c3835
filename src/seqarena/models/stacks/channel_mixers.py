"""Channel mixers: the second slot of a block. They mix features at each position alone, so that
the mask of real positions means nothing to them (it does to `experts.py`).

    mlp    W_2 gelu(W_1 x)                      (Vaswani et al. 2017, with GELU)
    gated  W_2 (silu(W_1 x) * W_3 x)            (SwiGLU, Shazeer 2020)

H hidden units; `num_layers` scales the output projection of a residual stack by 1/sqrt(2 L), as
GPT-2 does.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

INITIAL_STD = 0.02  # of GPT-2 (Radford et al. 2019)
Activation = Literal["gelu", "gelu_tanh", "relu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # as GPT-2 computes it
    "relu": F.relu,  # Vaswani et al. 2017
}


class MLP(nn.Module):
    """Two linear maps with an activation between. [..., D] -> [..., D]."""

    def __init__(
        self, width: int, hidden_width: int, num_layers: int, activation: Activation = "gelu"
    ) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden_width)
        self.contract = nn.Linear(hidden_width, width)
        self.activation = ACTIVATIONS[activation]
        _initialise(self, num_layers)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        return self.contract(self.activation(self.expand(x_BTD)))

    def flops(self, length: int) -> int:
        return 4 * length * self.expand.in_features * self.expand.out_features


class GatedMLP(nn.Module):
    """SwiGLU: one linear map gates another. [..., D] -> [..., D]. No biases, as in Llama."""

    def __init__(self, width: int, hidden_width: int, num_layers: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 2 * hidden_width, bias=False)
        self.contract = nn.Linear(hidden_width, width, bias=False)
        _initialise(self, num_layers)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        gate_BTH, value_BTH = self.expand(x_BTD).chunk(2, dim=-1)
        return self.contract(F.silu(gate_BTH) * value_BTH)

    def flops(self, length: int) -> int:
        return 6 * length * self.contract.in_features * self.contract.out_features


def _initialise(channel_mixer: MLP | GatedMLP, num_layers: int) -> None:
    nn.init.normal_(channel_mixer.expand.weight, std=INITIAL_STD)
    nn.init.normal_(channel_mixer.contract.weight, std=INITIAL_STD / math.sqrt(2 * num_layers))
    for linear in (channel_mixer.expand, channel_mixer.contract):
        if linear.bias is not None:
            nn.init.zeros_(linear.bias)
