"""Which library multiplies float32 matrices on the CPU: torch's BLAS (MKL on x86), or oneDNN.

MKL does not use all that a processor of another maker than Intel has: on an AMD EPYC with AVX-512
oneDNN takes .45 of its time (docs/lab_log.md). Torch has no switch for it. It sends a float32
product to oneDNN where that may be computed in bfloat16, and oneDNN does so only where the
processor has a unit for tiles of bfloat16 (AMX). Elsewhere its kernel is one of plain float32. So
oneDNN is never chosen where there is such a unit, and never where a probe finds more error than
float32 has.

A product of few numbers takes oneDNN longer to look up than to compute. What loops over such
products says so: inside of `small_products` they go to the BLAS.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.core.runtime import Choice

Library = Literal["blas", "onednn"]

FASTER = 1.25  # oneDNN has to be, or the BLAS stays
MOST_ERROR = 4.0  # of a product by oneDNN, in errors of the BLAS
SMALL = 2**20  # multiplications, up to which the BLAS is faster (docs/lab_log.md)
_REPEATS = 9
_PROBES = ((256, 64, 256), (512, 256, 128), (128, 1024, 256))  # rows, inputs, outputs
_in_use: Library = "blas"


def resolve_products(wanted: str, device: str) -> Choice:
    """`auto` is oneDNN where a probe finds it faster and as exact as the BLAS, else the BLAS. It
    takes some milliseconds. Raises UserError for oneDNN where it would round."""
    if wanted not in ("auto", "blas", "onednn"):
        raise UserError(f"unknown library of products {wanted!r}: use auto, blas or onednn")
    if wanted == "blas":
        return Choice("blas", "asked for")
    reason = _why_not(device)
    if wanted == "onednn":
        if reason is not None:
            raise UserError(f"products by oneDNN were asked for, but {reason}: use auto or blas")
        return Choice("onednn", "asked for")
    if reason is not None:
        return Choice("blas", reason)
    ratio = _times_faster()
    if ratio < FASTER:
        return Choice("blas", f"oneDNN is {ratio:.1f} times as fast here: too little")
    return Choice("onednn", f"{ratio:.1f} times as fast here, with float32's error")


def is_exact(name: str) -> bool:
    """Whether that library multiplies float32 matrices in float32 in this process on the CPU."""
    return name == "blas" or _why_not("cpu") is None


def library() -> Library:
    """The library that multiplies float32 matrices in this process, as it is."""
    return _in_use


@contextlib.contextmanager
def multiplying(name: str) -> Iterator[None]:
    """Inside, float32 matrices are multiplied by that library; afterwards by the one before."""
    before = _in_use
    _send("onednn" if name == "onednn" else "blas")
    try:
        yield
    finally:
        _send(before)


class small_products:  # noqa: N801 (used as a function is: `with small_products(n):`)
    """Inside, products of so many multiplications each go to the BLAS where they are few. It costs
    less than a microsecond."""

    def __init__(self, multiplications: int) -> None:
        self._moves = _in_use == "onednn" and multiplications < SMALL

    def __enter__(self) -> None:
        if self._moves:
            _send("blas")

    def __exit__(self, *details: object) -> None:
        if self._moves:
            _send("onednn")


def _send(name: Library) -> None:
    global _in_use
    _in_use = name
    precision = "bf16" if name == "onednn" else "none"
    torch._C._set_fp32_precision_setter("mkldnn", "matmul", precision)


def _why_not(device: str) -> str | None:
    """Why oneDNN is not for float32 products here; None where it is."""
    if not device.startswith("cpu"):
        return "they are computed on the device"
    if not torch.backends.mkldnn.is_available():
        return "this torch has no oneDNN"
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return "torch sends none to oneDNN on a processor without AVX-512"
    if torch.cpu._is_amx_tile_supported():
        return "oneDNN would round them to bfloat16, as this processor has AMX"
    for shape in _PROBES:
        factor = _error(shape, "onednn") / _error(shape, "blas")
        if not factor <= MOST_ERROR:
            return f"their error by oneDNN is {factor:.0f} times that of the BLAS here"
    return None


def _operands(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    rows, inputs, outputs = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, inputs, generator=generator)
    return x, torch.randn(inputs, outputs, generator=generator)


def _error(shape: tuple[int, int, int], name: Library) -> float:
    """Of a float32 product, in the Frobenius norm, relative to float64."""
    x, weight = _operands(shape)
    with multiplying(name):
        found = x @ weight
    truth = x.double() @ weight.double()
    return float((found - truth).norm() / truth.norm())


def _times_faster() -> float:
    """The BLAS's shortest time over oneDNN's, taking turns, of the middle probe."""
    x, weight = _operands(_PROBES[1])
    shortest: dict[Library, float] = {"blas": float("inf"), "onednn": float("inf")}
    for _ in range(_REPEATS):
        for name in shortest:
            with multiplying(name):
                start = time.perf_counter()
                torch.mm(x, weight)
                shortest[name] = min(shortest[name], time.perf_counter() - start)
    return shortest["blas"] / shortest["onednn"]
