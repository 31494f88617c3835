"""The recurrence over a matrix: the loop against the equation, the fast forms against the loop."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seqarena.ops.matrix_recurrence import matrix_recurrence

SHAPE = (2, 3)  # sequences and heads
K, V = 4, 5


def inputs_of(length: int, decay: str, erase: str, dtype: torch.dtype) -> dict[str, Tensor | None]:
    """Random inputs of that kind: keys of about unit length, as erasing needs them."""
    torch.manual_seed(length)

    def unit() -> Tensor:
        return torch.nn.functional.normalize(torch.randn(*SHAPE, length, K, dtype=dtype), dim=-1)

    features = {"none": 0, "head": 1, "key": K}[decay]
    return {
        "q_BHTK": torch.randn(*SHAPE, length, K, dtype=dtype),
        "k_BHTK": unit(),
        "v_BHTV": torch.randn(*SHAPE, length, V, dtype=dtype),
        "s_BHKV": torch.randn(*SHAPE, K, V, dtype=dtype),
        "log_decay": -3 * torch.rand(*SHAPE, length, features, dtype=dtype) if features else None,
        "erase_BHTK": unit() if erase != "none" else None,
        "direction_BHTK": -0.7 * unit() if erase == "another" else None,
    }


@pytest.mark.parametrize("erase", ["none", "key", "another"])
@pytest.mark.parametrize("decay", ["none", "head", "key"])
def test_the_loop_equals_the_equation(decay: str, erase: str) -> None:
    given = inputs_of(7, decay, erase, torch.float64)
    y, s = matrix_recurrence(**given, algorithm="loop")  # pyright: ignore[reportArgumentType]
    arrays = {name: None if x is None else x[1, 2].numpy() for name, x in given.items()}
    state = arrays["s_BHKV"]
    for t in range(7):
        q, k, v = (arrays[name][t] for name in ("q_BHTK", "k_BHTK", "v_BHTV"))
        forget = np.eye(K)
        if decay != "none":
            forget = forget * np.exp(arrays["log_decay"][t])
        if erase != "none":
            direction = -k if erase == "key" else arrays["direction_BHTK"][t]
            forget = (np.eye(K) + np.outer(direction, arrays["erase_BHTK"][t])) @ forget
        state = forget @ state + np.outer(k, v)
        np.testing.assert_allclose(y[1, 2, t].numpy(), state.T @ q, rtol=0, atol=1e-12)
    np.testing.assert_allclose(s[1, 2].numpy(), state, rtol=0, atol=1e-12)
