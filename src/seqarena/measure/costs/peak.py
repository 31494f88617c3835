"""What the machine can do at best: its fastest square matrix product, in operations a second.

A share of peak is a share of this measured number, not of a data sheet's. The best of a few sizes
counts, since small products are held up by their start and large ones by memory.

    C = A B,   A and B [n, n]:   2 n^3 operations (a multiply-add counts two)
"""

import functools
import statistics
from collections.abc import Sequence

import torch

from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.core.runtime import limited_threads
from seqarena.measure.costs.speed import repeat

SIZES = (256, 512, 1024)
_CUDA_SIZES = (1024, 2048, 4096, 8192)
_TORCH_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}


def matrix_product_peak(
    threads: int | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    *,
    sizes: Sequence[int] | None = None,
    repeats: int = 5,
    seconds: float = 0.2,
) -> Series:
    """Operations a second of square products against their size; `seconds` is for each size.

    `threads` None: as many as torch uses now. `device` and `dtype` are resolved names.
    """
    sizes = sizes or (_CUDA_SIZES if device.startswith("cuda") else SIZES)
    with limited_threads(threads or torch.get_num_threads()):
        points = [_product(size, device, dtype, repeats, seconds) for size in sizes]
        return Series(
            measurement="peak",
            quantity="flops_per_second",
            axis="size",
            architecture="matrix product",
            points=tuple(points),
            settings={"repeats": repeats, "seconds": seconds},
            machine=this_machine(device, dtype),
        )


def best(series: Series) -> float:
    """The peak that such a series found: the median of its fastest size."""
    return max(statistics.median(point.repeats) for point in series.points)


@functools.cache
def peak_flops_per_second(threads: int, device: str, dtype: str) -> float:
    """The machine's peak, measured once in a process for each way of computing."""
    return best(matrix_product_peak(threads, device, dtype))


def _product(size: int, device: str, dtype: str, repeats: int, seconds: float) -> Point:
    draw = torch.Generator().manual_seed(size)
    a, b = (
        torch.randn(size, size, generator=draw).to(device, _TORCH_DTYPES[dtype]) for _ in range(2)
    )
    out = torch.empty_like(a)
    with torch.inference_mode():
        timing = repeat(
            lambda: torch.mm(a, b, out=out), repeats=repeats, seconds=seconds, device=device
        )
    return Point(x=size, repeats=tuple(2 * size**3 / each for each in timing.repeats))
