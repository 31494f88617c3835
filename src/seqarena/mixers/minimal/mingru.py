"""minGRU: a gated recurrent unit whose gate and candidate see the input only.

Feng, Tung, Ahmed, Bengio and Hajimirsadegh 2024, "Were RNNs All We Needed?", arXiv:2410.01201.

    z_t = sigmoid(W_z x_t)                      update gate
    c_t = g(W_h x_t)                            candidate (the paper's h tilde)
    h_t = (1 - z_t) * h_{t-1} + z_t * c_t       hence a diagonal linear recurrence

What g is and how the recurrence is computed: mixers/minimal/cell.py.
"""

from typing import ClassVar

from torch import Tensor

from seqarena.mixers.minimal.cell import MinimalConfig, MinimalMixer


class MinGRUConfig(MinimalConfig):
    """Nothing beyond what both cells have."""


class MinGRU(MinimalMixer):
    """One projection to gate and candidate, the recurrence, and a projection out when expanded."""

    Config = MinGRUConfig
    equation: ClassVar[str] = """\
z_t = sigmoid(W_z x_t)                      update gate
c_t = g(W_h x_t)                            candidate (the paper's h tilde)
h_t = (1 - z_t) * h_{t-1} + z_t * c_t       hence a diagonal linear recurrence"""
    parts: ClassVar[int] = 2

    def gate_and_value(self, parts_BTF: Tensor) -> tuple[Tensor, Tensor]:
        gate_BTE, value_BTE = parts_BTF.chunk(2, dim=-1)
        return gate_BTE, value_BTE
