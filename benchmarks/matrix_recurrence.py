"""The rows of the recurrence over a matrix: forward and backward by `chunked`, against the loop and
against the matrix products that `chunked` itself runs, on tensors that lie as the products like.

The products alone are what no arrangement of the same algorithm can beat. They are recorded from
one step, backward pass included. Peak memory counts inputs, outputs and all gradients.

    python -m benchmarks --clock process --rows recurrence_head_key ...
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.side_by_side import Contender, Row
from benchmarks.training import assert_same
from seqarena.measure.costs.memory import peak_bytes
from seqarena.ops.matrix_recurrence import matrix_recurrence

B, H, T, K, V = 4, 6, 1024, 64, 64
DECAYS = {"none": 0, "head": 1, "key": K}
ERASING = ("none", "key", "another")
Inputs = dict[str, Tensor | None]


def recurrence(decay: str, erase: str) -> Row:
    """Outputs, the last matrix and every gradient, float32."""
    inputs = inputs_of(decay, erase)
    steps = {name: partial(step, inputs, name) for name in ("chunked", "loop")}
    found, expected = (steps[name]() for name in ("chunked", "loop"))
    checks = [assert_same("outputs and gradients", found, expected)]
    for name in steps:
        peak = peak_bytes(partial(inputs_of, decay, erase), partial(step, algorithm=name))
        checks.append(f"{name}: peak memory {peak / (B * T):,.0f} bytes a position")
    contenders = [
        Contender("seqarena chunked", True, steps["chunked"]),
        Contender("loop", False, steps["loop"]),
        Contender("its matrix products alone", False, products_of(steps["chunked"])),
    ]
    settings = {"B": B, "H": H, "T": T, "K": K, "V": V, "decay a": decay, "erasing along": erase}
    return Row(
        "recurrence over a matrix, forward and backward", B * T, settings, contenders, checks
    )


def inputs_of(decay: str, erase: str) -> Inputs:
    """Random inputs that lie as a mixer's projections do: the features of a position together."""
    generator = torch.Generator().manual_seed(0)

    def random(features: int) -> Tensor:
        return torch.randn(B, T, H, features, generator=generator)

    given = {
        "q_BHTK": random(K),
        "k_BHTK": F.normalize(random(K), dim=-1),
        "v_BHTV": random(V),
        "log_decay": -0.1 * random(DECAYS[decay]).abs() if decay != "none" else None,
        "erase_BHTK": F.normalize(random(K), dim=-1) if erase != "none" else None,
        "direction_BHTK": -F.normalize(random(K), dim=-1) if erase == "another" else None,
    }
    views = {n: None if x is None else x.requires_grad_().transpose(1, 2) for n, x in given.items()}
    return {**views, "s_BHKV": torch.zeros(B, H, K, V)}


def step(inputs: Inputs, algorithm: str) -> Tensor:
    """One forward and backward pass: the outputs and all gradients in one row of numbers."""
    wanted = [x for x in inputs.values() if x is not None and x.requires_grad]
    y_BHTV, _ = matrix_recurrence(**inputs, algorithm=algorithm)  # pyright: ignore[reportArgumentType]
    found = torch.autograd.grad(y_BHTV, wanted, torch.ones_like(y_BHTV))
    return torch.stack([x.detach().abs().sum() for x in (y_BHTV, *found)])


class _Recorder(TorchDispatchMode):
    """The sizes of the batched products that run under it."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[torch.Size, torch.Size]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("bmm", "baddbmm", "baddbmm_"):
            left, right = args[-2:]
            self.sizes.append((left.shape, right.shape))
        return func(*args, **(kwargs or {}))


def products_of(run: Callable[[], object]) -> Callable[[], None]:
    """Runs products of the same sizes, and nothing else."""
    with _Recorder() as recorder:
        run()
    operands = {size: torch.randn(size) for pair in recorder.sizes for size in pair}
    results = {
        pair: torch.empty(*pair[0][:-1], pair[1][-1]) for pair in dict.fromkeys(recorder.sizes)
    }

    def products() -> None:
        for left, right in recorder.sizes:
            torch.bmm(operands[left], operands[right], out=results[left, right])

    return products


ROWS: dict[str, Callable[[str], Row]] = {
    f"recurrence_{decay}_{erase}": lambda dtype, decay=decay, erase=erase: recurrence(decay, erase)
    for decay in DECAYS
    for erase in ERASING
}
