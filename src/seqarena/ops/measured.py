"""Which algorithm `auto` is, and what was measured: a small table, read by `Operation.resolve`.

A row names the operation, the device, the fastest algorithm and what was measured. A `case` is a
shape of the operation that was measured by itself. `half` is another choice for parameters of 16
bits, None: the same.

CPU: a training step of one mixer (`python -m benchmarks.algorithms`: width 128, 8 sequences, one
thread, float32, the shortest of the repeats), each algorithm as a multiple of the fastest. An AMD
EPYC with 2 cores under other load: differences below 1.1 are noise. Where the two lengths disagree,
the choice is that of 1,024 positions.

`package`: what is faster still on the CPU in float32 (parameters; under bfloat16 autocast too)
where an optional package is installed, as multiples of the fastest in processor seconds, with
memory and products as in training. `times` is that of 256 positions over the best form without the
package.

CUDA: tokens a second of a training step, one H100, torch 2.11, bfloat16 autocast, 25 million
parameters, 16 sequences of 1,024 positions. The kernels in Triton have not been measured yet
(`make bench-gpu`), so that no row names them.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

NUMBERS_DEPEND_ON_THIS = False  # algorithms agree; which one ran is recorded (jobs/sources.py)


class WithPackage(NamedTuple):
    """A faster algorithm that needs an optional package, and how many times as fast a layer trains
    with it."""

    algorithm: str
    package: str
    times: float
    source: str


class MeasuredChoice(NamedTuple):
    """One choice."""

    operation: str
    device: str
    algorithm: str
    source: str
    case: str = ""
    half: str | None = None
    package: WithPackage | None = None


UNMEASURED = "not measured there: the choice of the CPU"

ROWS = (
    MeasuredChoice(
        "elman", "cpu", "stepwise",
        "T 64: loop 2.12, fused 1.45, stepwise 1.00; "
        "T 1024: loop 2.35, fused 1.56, stepwise 1.00",
        package=WithPackage(
            "compiled", "numba", 2.6,
            "T 64: fused 4.20, stepwise 1.77, compiled 1.00; T 256: 6.91, 2.64, 1.00; "
            "T 1024: 8.26, 2.74, 1.00; bfloat16, T 256: 8.38, 5.73, 1.00",
        ),
    ),
    MeasuredChoice(
        "gru", "cpu", "stepwise",
        "T 64: loop 2.06, fused 1.87, stepwise 1.00; "
        "T 1024: loop 2.71, fused 2.00, stepwise 1.00",
        package=WithPackage(
            "compiled", "numba", 2.5,
            "T 64: fused 4.41, stepwise 2.15, compiled 1.00; T 256: 5.86, 2.51, 1.00; "
            "T 1024: 6.44, 2.41, 1.00; bfloat16, T 256: 6.33, 2.98, 1.00",
        ),
    ),
    MeasuredChoice(
        "gru_reset_before", "cpu", "stepwise",
        "T 64: loop 3.56, stepwise 1.00; T 1024: loop 2.48, stepwise 1.00",
    ),
    MeasuredChoice(
        "lstm", "cpu", "fused",
        "T 64: loop 3.85, fused 1.00, stepwise 2.34; "
        "T 1024: loop 3.71, fused 1.00, stepwise 2.02",
    ),
    MeasuredChoice(
        "lstm_peephole", "cpu", "stepwise",
        "T 64: loop 2.06, stepwise 1.00; T 1024: loop 2.12, stepwise 1.00",
    ),
    MeasuredChoice(
        "slstm", "cpu", "stepwise",
        "T 64: loop 2.44, stepwise 1.00; T 1024: loop 2.48, stepwise 1.00",
        package=WithPackage(
            "compiled", "numba", 2.0,
            "T 64: stepwise 1.70, compiled 1.00; T 256: 2.00, 1.00; T 1024: 2.11, 1.00; "
            "bfloat16, T 256: 2.34, 1.00",
        ),
    ),
    MeasuredChoice(
        "sru", "cpu", "stepwise",
        "T 64: loop 3.25, stepwise 1.00; T 1024: loop 2.00, stepwise 1.00",
    ),
    MeasuredChoice(
        "stack_rnn", "cpu", "stepwise",
        "T 64: loop 1.98, stepwise 1.00; T 512: loop 1.95, stepwise 1.00",
    ),
    MeasuredChoice(
        "minimal_recurrence", "cpu", "fused",
        "T 64: loop 1.83, chunked 1.45, fused 1.00, scan 1.33; "
        "T 1024: loop 1.70, chunked 1.32, fused 1.00, scan 1.41",
        package=WithPackage(
            "compiled", "numba", 1.8,
            "mingru, T 64: fused 1.33, compiled 1.00; T 256: 1.85, 1.00; T 1024: 1.99, 1.00; "
            "minlstm 1.44, 1.48, 1.48; qrnn .99, 1.12, 1.11; bfloat16, mingru, T 256: 1.94",
        ),
    ),
    MeasuredChoice(
        "selective_scan", "cpu", "chunked",
        "T 64: loop 1.57, chunked 1.00, scan 1.49; T 1024: loop 1.20, chunked 1.00, scan 3.71",
        package=WithPackage(
            "compiled", "numba", 1.9,
            "mamba, T 64: chunked 2.13, compiled 1.00; T 256: 1.89, 1.00; T 1024: 2.04, 1.00; "
            "bfloat16, T 256: 1.99, 1.00",
        ),
    ),
    MeasuredChoice(
        "diagonal_ssm", "cpu", "chunked",
        "T 64: loop 2.29, chunked 1.00, parallel 1.45; "
        "T 1024: loop 4.43, chunked 1.00, parallel 2.81",
    ),
    MeasuredChoice(
        "matrix_recurrence", "cpu", "chunked",
        "gated_delta, T 64: loop 2.44, chunked 1.00; T 1024: loop 2.90, chunked 1.00",
    ),
    MeasuredChoice(
        "attention", "cpu", "fused",
        "T 64: explicit 1.22, fused 1.00; T 1024: explicit 3.09, fused 1.00",
    ),
    MeasuredChoice(
        "window_attention", "cpu", "banded",
        "T 64: explicit 1.59, banded 1.00; T 1024: explicit 7.92, banded 1.00",
    ),
    MeasuredChoice(
        "strided_attention", "cpu", "blocked",
        "T 64: explicit 1.00, blocked 1.72; T 1024: explicit 6.35, blocked 1.00",
    ),
    MeasuredChoice(
        "block_attention", "cpu", "gathered",
        "T 64: explicit 1.00, gathered 3.09; T 1024: explicit 5.91, gathered 1.00",
    ),
    MeasuredChoice(
        "causal_convolution", "cpu", "unfolded",
        "T 64: loop 1.14, fused 1.00, unfolded 1.04; "
        "T 1024: loop 1.13, fused 1.00, unfolded 1.03",
    ),
    MeasuredChoice(
        "causal_convolution", "cpu", "fused",
        "T 64: loop 1.29, fused 1.00, unfolded 1.19; "
        "T 1024: loop 1.38, fused 1.00, unfolded 1.34", case="8 adjacent taps",
    ),
    MeasuredChoice(
        "short_convolution", "cpu", "loop", "the only form without a package",
        package=WithPackage(
            "compiled", "numba", 2.0,
            "4 taps and SiLU: loop 1.27 (4 x 64 x 96), 2.06 (8 x 64 x 256), 1.86 (4 x 256 x 512), "
            "2.23 (4 x 1024 x 768), compiled 1.00",
        ),
    ),
    MeasuredChoice(
        "dplr_ssm", "cpu", "chunked",
        "T 64: loop 2.95, cauchy 1.30, chunked 1.00; "
        "T 512: loop 10.0, cauchy 3.49, chunked 1.00",
    ),
    MeasuredChoice(
        "long_convolution", "cpu", "halves",
        "T 64: loop 1.97, fft 1.00, halves 1.17; T 1024: loop 16.0, fft 1.02, halves 1.00; "
        "of the two, it is the one that is causal to the last bit",
    ),
    MeasuredChoice(
        "linear_recurrence", "cpu", "fused",
        "as minimal_recurrence, whose inside it is",
        package=WithPackage(
            "compiled", "numba", 1.2,
            "lru, T 64: scan 1.13, compiled 1.00; T 256: 1.16, 1.00; T 1024: 1.22, 1.00; "
            "s5 1.14, 1.23, 1.06; griffin 1.00, 1.04, 1.05; the recurrence by itself 1.4 to 3.6",
        ),
    ),
    MeasuredChoice(
        "ctc", "cpu", "library",
        "8 rows of 30 symbols, T 64: forward_backward 22.1, library 1.00; "
        "T 1024: forward_backward 1.57, library 1.00",
    ),
    MeasuredChoice("ctc", "cuda", "library", UNMEASURED),
    MeasuredChoice("short_convolution", "cuda", "loop", UNMEASURED),
    MeasuredChoice("elman", "cuda", "fused", "H100: fused 196k"),
    MeasuredChoice("gru", "cuda", "fused", "H100: fused (cuDNN) 58k"),
    MeasuredChoice("gru_reset_before", "cuda", "stepwise", UNMEASURED),
    MeasuredChoice("lstm", "cuda", "fused", "H100: fused (cuDNN) 295k"),
    MeasuredChoice("lstm_peephole", "cuda", "stepwise", UNMEASURED),
    MeasuredChoice("slstm", "cuda", "stepwise", UNMEASURED),
    MeasuredChoice(
        "minimal_recurrence", "cuda", "scan", "H100: scan 554k (minlstm 433k), fused 62k"
    ),
    MeasuredChoice("selective_scan", "cuda", "scan", "H100: scan 84k with 23 GiB, chunked 9.2k"),
    MeasuredChoice("diagonal_ssm", "cuda", "chunked", "H100: chunked 225k"),
    MeasuredChoice("matrix_recurrence", "cuda", "chunked", UNMEASURED),
    MeasuredChoice("attention", "cuda", "fused", "H100: fused 444k"),
    MeasuredChoice("window_attention", "cuda", "banded", UNMEASURED),
    MeasuredChoice("strided_attention", "cuda", "blocked", UNMEASURED),
    MeasuredChoice("block_attention", "cuda", "gathered", UNMEASURED),
    MeasuredChoice("causal_convolution", "cuda", "unfolded", UNMEASURED),
    MeasuredChoice("causal_convolution", "cuda", "fused", UNMEASURED, case="8 adjacent taps"),
    MeasuredChoice("dplr_ssm", "cuda", "chunked", UNMEASURED),
    MeasuredChoice("sru", "cuda", "stepwise", UNMEASURED),
    MeasuredChoice("stack_rnn", "cuda", "stepwise", UNMEASURED),
    MeasuredChoice("long_convolution", "cuda", "halves", UNMEASURED),
    MeasuredChoice("linear_recurrence", "cuda", "scan", "H100: as minimal_recurrence"),
)  # fmt: skip

_BY_PLACE = {(row.operation, row.case, row.device): row for row in ROWS}
_HALF = (torch.bfloat16, torch.float16)


def fastest(
    operation: str,
    case: str,
    device: str,
    dtype: torch.dtype,
    is_usable: Callable[[str], bool] = lambda algorithm: False,
) -> str | None:
    """The fastest algorithm measured on that device type; None where nothing was measured.
    `is_usable` says of one that needs a package whether it is installed."""
    row = _BY_PLACE.get((operation, case, device))
    if row is None:
        return None
    if row.package and dtype == torch.float32 and is_usable(row.package.algorithm):
        return row.package.algorithm
    return row.half if row.half is not None and dtype in _HALF else row.algorithm


def faster_with_package(operation: str, device: str, dtype: torch.dtype) -> WithPackage | None:
    """What an optional package makes faster there."""
    row = _BY_PLACE.get((operation, "", device))
    return None if row is None or dtype != torch.float32 else row.package
