"""The kernels in Triton against the slow truths: on a GPU where there is one, else number by number
in Triton's interpreter (conftest.py), with small blocks so that short inputs have several."""

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from seqarena.mixers.checked import same
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.delta.gated_delta import GatedDeltaNet
from seqarena.mixers.linear.retnet import RetNet
from seqarena.mixers.minimal.mingru import MinGRU
from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.matrix_recurrence import matrix_recurrence
from seqarena.ops.minimal import minimal_recurrence
from seqarena.ops.registry import DEVICES, Operation
from seqarena.ops.selective_scan import selective_scan
from seqarena.ops.short_convolution import short_convolution
from seqarena.ops.state_space import Diagonal, diagonal_ssm

pytest.importorskip("triton", reason="kernels for a GPU: pip install triton (Linux)")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPERATIONS: tuple[Operation, ...] = (
    linear_recurrence, matrix_recurrence, minimal_recurrence, selective_scan, short_convolution,
    diagonal_ssm,
)  # fmt: skip
# against float64, as a share of the largest number: float32 sums of some hundred numbers in another
# order; inputs of 16 bits are the same for both, and their gradients are rounded to 16 bits
TOLERANCES = {torch.float32: 1e-5, torch.complex64: 1e-5, torch.bfloat16: 1e-2}
WIDE = {torch.complex64: torch.complex128}


@pytest.fixture(autouse=True)
def _interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "cuda":
        return
    from triton.runtime.interpreter import ScanOps

    from seqarena.ops.triton_kernels import diagonal, selective_scan
    from seqarena.ops.triton_kernels import short_convolution as convolution

    for module in (diagonal, selective_scan, convolution):
        monkeypatch.setattr(module, "BLOCK_LENGTH", 16)
        monkeypatch.setattr(module, "BLOCK_WIDTH", 16)
    monkeypatch.setattr(ScanOps, "generic_scan", _scan_by_rows)
    for operation in OPERATIONS:
        on_gpu = operation._algorithms["triton"]
        monkeypatch.setitem(operation._algorithms, "triton", on_gpu._replace(devices=DEVICES))


def _scan_by_rows(self, inputs):
    """What the interpreter does number by number, row by row."""
    rows = [np.moveaxis(x.handle.data, self.axis, 0) for x in inputs]
    outputs, last = [np.empty_like(x) for x in rows], None
    for index in range(len(rows[0])):
        now = [self.to_tensor(x[index], like.dtype) for x, like in zip(rows, inputs)]
        last = now if last is None else self.combine_fn.fn(*last, *now)
        for output, x in zip(outputs, last):
            output[index] = x.handle.data
    back = (np.ascontiguousarray(np.moveaxis(x, 0, self.axis)) for x in outputs)
    return [self.to_tensor(x, like.dtype) for x, like in zip(back, inputs)]


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normal numbers, with the axes of time and features in memory the other way round."""
    x = torch.randn(*shape[:-2], *reversed(shape[-2:]), dtype=dtype) if len(shape) > 1 else None
    return torch.randn(*shape, dtype=dtype) if x is None else x.mT


def assert_equals_the_loop(call: Callable, inputs: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Outputs and every gradient of `call(inputs, algorithm)`, a tensor or several."""
    results = []
    for algorithm in ("triton", "loop"):
        leaves = {n: x.to(DEVICE) for n, x in inputs.items()}
        if algorithm == "loop":
            leaves = {n: x.to(WIDE.get(x.dtype, torch.float64)) for n, x in leaves.items()}
        leaves = {n: x.detach().requires_grad_() for n, x in leaves.items()}
        outputs = call(leaves, algorithm)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        generator = torch.Generator().manual_seed(1)
        total = torch.zeros((), dtype=torch.float64, device=DEVICE)
        for x in outputs:
            w = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(DEVICE)
            # both parts of a complex number count
            total = total + ((torch.view_as_real(x).sum(-1) if x.is_complex() else x) * w).sum()
        total.backward()
        results.append([x.detach() for x in outputs] + [x.grad for x in leaves.values()])
        names = [f"output {i}" for i in range(len(outputs))] + [f"gradient of {n}" for n in leaves]
    for name, found, expected in zip(names, *results, strict=True):
        if found.is_complex():
            found, expected = torch.view_as_real(found), torch.view_as_real(expected)
        same(name, found, expected, TOLERANCES[dtype])


def decays(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    a = draw(*shape, dtype=dtype)
    return a / (1 + a.abs())


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("length", [1, 2, 63, 257])  # 257: three levels of blocks
def test_diagonal(length: int, dtype: torch.dtype) -> None:
    torch.manual_seed(length)
    shape = (2, length, 5)
    inputs = {"a": decays(*shape), "b": draw(*shape), "start": draw(2, 5)}
    if dtype.is_complex:
        inputs = {n: torch.complex(x / 2, x.flip(0) / 2) for n, x in inputs.items()}
    assert_equals_the_loop(
        lambda x, algorithm: linear_recurrence(**_named(x, "BTD", "BD"), algorithm=algorithm),
        {n: x.to(dtype) for n, x in inputs.items()}, dtype,
    )  # fmt: skip


def _named(x: dict[str, Tensor], letters: str, of_start: str) -> dict[str, Tensor]:
    """The arguments' names: with the letters of the axes."""
    return {f"{n}_{of_start if n == 'start' else letters}": t for n, t in x.items()}


@pytest.mark.parametrize("a_shape", [(2, 4), (2, 20, 1, 1), (1, 1, 2, 1)])
def test_diagonal_coefficients_broadcast_over_any_axes(a_shape: tuple[int, ...]) -> None:
    inputs = {"a": decays(*a_shape), "b": draw(2, 20, 2, 4)}
    assert_equals_the_loop(
        lambda x, algorithm: linear_recurrence(x["a"], x["b"], algorithm=algorithm),
        inputs, torch.float32,
    )  # fmt: skip


@pytest.mark.parametrize("length", [1, 2, 63])
def test_selective_scan(length: int) -> None:
    _check_selective_scan(length, torch.float32)


def test_selective_scan_of_16_bits() -> None:
    _check_selective_scan(40, torch.bfloat16)


def _check_selective_scan(length: int, dtype: torch.dtype) -> None:
    torch.manual_seed(length)
    step = 0.3 * torch.nn.functional.softplus(draw(2, length, 9))
    step[0, length // 2 :] = 0.0  # padding
    inputs = {
        "x": draw(2, length, 9).to(dtype), "step": step, "a": -torch.exp(draw(3, 9)),
        "b": draw(2, length, 3).to(dtype), "c": draw(2, length, 3).to(dtype),
        "start": draw(2, 3, 9),
    }  # fmt: skip
    assert_equals_the_loop(
        lambda x, algorithm: selective_scan(*x.values(), algorithm=algorithm), inputs, dtype
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("length", "kernel"), [(1, 4), (40, 4), (17, 2), (3, 1)])
@pytest.mark.parametrize("activation", ["silu", "none"])
def test_short_convolution(length: int, kernel: int, activation: str, dtype: torch.dtype) -> None:
    torch.manual_seed(length)
    inputs = {"x": draw(2, kernel - 1 + length, 9).to(dtype), "weight": draw(9, kernel)}
    if activation == "silu":
        inputs["bias"] = draw(9)
    assert_equals_the_loop(
        lambda x, algorithm: short_convolution(
            x["x"], x["weight"], x.get("bias"), activation, algorithm
        ),
        inputs, dtype,
    )  # fmt: skip


# all chunks at once, and two
@pytest.mark.parametrize(("length", "at_once"), [(2, 2**26), (50, 2**26), (50, 16 * 16 * 6 * 2)])
@pytest.mark.parametrize("erase", ["none", "key", "another"])
@pytest.mark.parametrize("decay", ["none", "head", "key"])
def test_matrix_recurrence(
    decay: str, erase: str, length: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqarena.ops.matrix_recurrence.block_kernel.NUMBERS_AT_ONCE", at_once)
    torch.manual_seed(length)

    def unit() -> Tensor:
        return torch.nn.functional.normalize(draw(2, 3, length, 4), dim=-1)

    inputs = {
        "q_BHTK": draw(2, 3, length, 4), "k_BHTK": unit(), "v_BHTV": draw(2, 3, length, 5),
        "s_BHKV": draw(2, 3, 4, 5),
    }  # fmt: skip
    if decay != "none":
        inputs["log_decay"] = -3 * torch.rand(2, 3, length, 1 if decay == "head" else 4)
    if erase != "none":
        inputs["erase_BHTK"] = unit()
    if erase == "another":
        inputs["direction_BHTK"] = -0.7 * unit()
    assert_equals_the_loop(
        lambda x, algorithm: matrix_recurrence(**x, algorithm=algorithm, chunk_size=16),
        inputs, torch.float32,
    )  # fmt: skip


def test_matrix_recurrence_of_16_bits_with_keys_shared_by_all_heads() -> None:
    torch.manual_seed(0)
    inputs = {
        "q_BHTK": draw(2, 1, 40, 4), "k_BHTK": draw(2, 1, 40, 4) / 4, "v_BHTV": draw(2, 3, 40, 5),
        "log_decay": -torch.rand(2, 3, 40, 1),
    }  # fmt: skip
    inputs = {n: x.bfloat16() for n, x in inputs.items()} | {"s_BHKV": draw(2, 3, 4, 5)}
    assert_equals_the_loop(
        lambda x, algorithm: matrix_recurrence(**x, algorithm=algorithm, chunk_size=16),
        inputs, torch.bfloat16,
    )  # fmt: skip


@pytest.mark.parametrize("candidate", ["positive", "linear"])
def test_minimal_recurrence(candidate: str) -> None:
    torch.manual_seed(0)
    inputs = {"gate": draw(2, 40, 9), "value": draw(2, 40, 9), "start": draw(2, 9)}
    lengths_B = torch.tensor([40, 11], device=DEVICE)
    assert_equals_the_loop(
        lambda x, algorithm: minimal_recurrence(
            *x.values(), lengths_B, candidate=candidate, algorithm=algorithm
        ),
        inputs, torch.float32,
    )  # fmt: skip


def test_state_space() -> None:
    torch.manual_seed(0)
    inputs = {"u": draw(2, 40, 5), "rate": draw(5, 3), "turn": draw(5, 3)}
    inputs |= {n: torch.complex(draw(5, 3), draw(5, 3)) for n in ("input", "output")}
    inputs |= {"start": torch.complex(draw(2, 5, 3), draw(2, 5, 3))}

    def call(x: dict[str, Tensor], algorithm: str) -> tuple[Tensor, ...]:
        exponent_DN = torch.complex(-torch.exp(x["rate"]), x["turn"])
        system = Diagonal(exponent_DN, x["input"], x["output"])
        return diagonal_ssm(x["u"], system, x["start"], algorithm=algorithm)

    assert_equals_the_loop(call, inputs, torch.float32)


@pytest.mark.parametrize("mixer_class", [MinGRU, RetNet, GatedDeltaNet])
def test_a_mixer_keeps_the_contract(mixer_class: type) -> None:
    """Padding with a state carried on, and gradients against float64, as it is trained."""
    config = mixer_class.Config(algorithm="triton")
    for name, dtype in (("padding", torch.float32), ("gradients", torch.bfloat16)):
        checked = subject(mixer_class, config, device=DEVICE, dtype=dtype)
        CHECKS[name](checked._replace(width=8) if DEVICE == "cpu" else checked)


def test_auto_takes_none_of_them_before_it_was_measured() -> None:
    for operation in OPERATIONS:
        for dtype in (torch.float32, torch.bfloat16):
            assert operation.resolve("auto", "cuda", dtype) != "triton"


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from seqarena.ops.triton_kernels import diagonal, matrix_walk, selective_scan, short_convolution


def check(kernel, warps=4, stages=3, **constants):
    kind = lambda n: "constexpr" if n in constants else "*fp32" if n.endswith("_ptr") else "i32"
    source = ASTSource(kernel, {n: kind(n) for n in kernel.arg_names}, constants)
    options = {"num_warps": warps, "num_stages": stages}
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    print(kernel.__name__, made.metadata.shared)
    assert made.metadata.shared <= 227 * 1024, (kernel.__name__, constants, made.metadata.shared)


def block(module):
    return {"L": module.BLOCK_LENGTH, "W": module.BLOCK_WIDTH}


d, s, c, m = diagonal, selective_scan, short_convolution, matrix_walk
for complex_ in (False, True):
    for ends, reverse in ((True, False), (False, True)):
        check(d._block, d.WARPS, ENDS=ends, REVERSED=reverse, SHIFT=1, COMPLEX=complex_, **block(d))
for backward in (False, True):
    check(s._ends, s.WARPS, num_states=16, BACKWARD=backward, **block(s))
for kernel in (s._outputs, s._gradients):
    check(kernel, s.WARPS, num_states=16, **block(s))
for kernel in (c._forward, c._backward):
    check(kernel, BIAS=True, SILU=True, K=4, **block(c))
check(c._input_gradient, K=4, **block(c))
for kernel in (m._forward, m._backward):
    for two, decay, features in ((False, 1, 64), (True, 2, 64), (False, 1, 256)):
        sides = {"LB": 32, "KB": features, "VB": m.BLOCK_VALUES}
        check(kernel, m.WARPS, m.STAGES, DECAY=decay, TWO=two, **sides)
"""


@pytest.mark.slow
def test_every_kernel_compiles_for_a_gpu_that_need_not_be_there() -> None:
    """The interpreter runs what a GPU's compiler refuses. Compute capability 9.0, an H100."""
    environment = {n: v for n, v in os.environ.items() if n != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
