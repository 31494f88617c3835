"""The forms of each operation side by side, and the sizes of the kernels' blocks: forward and
backward at the shapes of one layer in training."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gpu_rivals import fla_form
from benchmarks.gpu_timing import Sizes, gigabytes, in_turn, peak_of, repeats, spread
from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.matrix_recurrence import matrix_recurrence
from seqarena.ops.registry import Operation
from seqarena.ops.selective_scan import selective_scan
from seqarena.ops.short_convolution import short_convolution

Row = tuple[str, Callable[[], dict[str, Any]]]
Call = Callable[[str], Tensor]  # by an algorithm's name
MATRICES = ("decay a head", "decay a key", "delta", "gated delta")
BLOCKS = ((32, 32, 4), (64, 32, 8), (32, 16, 4), (64, 16, 4), (32, 64, 8), (128, 32, 8))


def operation_rows(sizes: Sizes) -> Iterator[Row]:
    """Every form but the slow truth, except where it is one of the fast ones."""
    yield "diagonal", lambda: _forms(linear_recurrence, *_diagonal(sizes), sizes)
    yield "selective scan", lambda: _forms(selective_scan, *_selective(sizes), sizes)
    for kind in MATRICES:
        yield f"matrix, {kind}", lambda kind=kind: _matrix_forms(kind, sizes)
    yield (
        "short convolution",
        lambda: _forms(short_convolution, *_convolution(sizes), sizes, truth=True),
    )


def _forms(
    operation: Operation, leaves: list[Tensor], call: Call, sizes: Sizes, *, truth: bool = False,
    others: dict[str, Callable[[], Tensor]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Seconds of each form, its time as a multiple of the fastest, and its peak memory."""
    names = operation.available(sizes.device, torch.float32)[0 if truth else 1 :]
    calls = {name: (lambda name=name: call(name)) for name in names} | (others or {})
    runs = {
        name: (lambda forward=forward: _both(forward, leaves)) for name, forward in calls.items()
    }
    for run in runs.values():
        run()  # compiles
    peaks = {name: peak_of(run, sizes) for name, run in runs.items()}
    seconds = in_turn(runs, sizes)
    medians = {name: spread(found)["median"] for name, found in seconds.items()}
    best = min(medians.values())
    ratios = {name: round(median / best, 3) for name, median in medians.items()}
    says = f"{best * 1e3:.2f} ms; " + ", ".join(
        f"{name} {ratio:.2f} ({gigabytes(peaks[name])})" for name, ratio in ratios.items()
    )
    return {"seconds": seconds, "times_the_fastest": ratios, "peak_bytes": peaks, "says": says}


def _both(forward: Callable[[], Tensor], leaves: list[Tensor]) -> None:
    """Forward and backward."""
    torch.autograd.grad(forward().sum(), leaves)


def _draw(sizes: Sizes, *shape: int) -> Tensor:
    return torch.randn(*shape, device=sizes.device)


def _diagonal(sizes: Sizes) -> tuple[list[Tensor], Call]:
    shape = (sizes.batch, sizes.length, 8 if sizes.small else 640)
    leaves = [torch.sigmoid(_draw(sizes, *shape)), _draw(sizes, *shape)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    return leaves, lambda name: linear_recurrence(*leaves, algorithm=name)


def _selective(sizes: Sizes) -> tuple[list[Tensor], Call]:
    B, T, (E, N) = sizes.batch, sizes.length, (8, 4) if sizes.small else (1072, 16)
    leaves = [
        _draw(sizes, B, T, E), 0.1 * F.softplus(_draw(sizes, B, T, E)),
        -torch.exp(_draw(sizes, N, E)), _draw(sizes, B, T, N), _draw(sizes, B, T, N),
    ]  # fmt: skip
    leaves = [leaf.requires_grad_() for leaf in leaves]
    return leaves, lambda name: selective_scan(*leaves, algorithm=name)[0]


def _convolution(sizes: Sizes) -> tuple[list[Tensor], Call]:
    channels = 8 if sizes.small else 1072
    x = _draw(sizes, sizes.batch, sizes.length + 3, channels)
    leaves = [x.requires_grad_(), _draw(sizes, channels, 4).requires_grad_()]
    return leaves, lambda name: short_convolution(*leaves, None, "silu", name)


def _matrix_forms(kind: str, sizes: Sizes) -> dict[str, Any]:
    """8 heads of 64 features; fla's beside ours, in bfloat16 as it is used, where installed."""
    B, T, (H, K) = sizes.batch, sizes.length, (2, 4) if sizes.small else (8, 64)
    q, v = _draw(sizes, B, H, T, K), _draw(sizes, B, H, T, K)
    k = F.normalize(_draw(sizes, B, H, T, K), dim=-1)
    beta = torch.sigmoid(_draw(sizes, B, H, T, 1))
    log_decay = -0.1 * torch.rand(B, H, T, K if kind == "decay a key" else 1, device=sizes.device)
    leaves = [leaf.requires_grad_() for leaf in (q, k, v)]
    start = torch.zeros(B, H, K, K, device=sizes.device)
    erases, forgets = "delta" in kind, kind != "delta"

    def call(name: str) -> Tensor:
        # as in Gated DeltaNet: the key carries the step
        written = k * beta if erases else k
        return matrix_recurrence(
            q, written, v, start, log_decay=log_decay if forgets else None,
            erase_BHTK=k if erases else None, algorithm=name, chunk_size=64,
        )[0]  # fmt: skip

    others: dict[str, Callable[[], Tensor]] = {}
    theirs = _fla(kind) if sizes.device == "cuda" else None
    if theirs is not None:
        given = [
            x.transpose(1, 2).bfloat16() for x in (q, k, v, log_decay, beta.expand(-1, -1, -1, 1))
        ]
        given[-1] = given[-1][..., 0]
        others["fla in bfloat16"] = lambda: theirs(*given).float()
    return _forms(matrix_recurrence, leaves, call, sizes, others=others)


def _fla(kind: str) -> Callable[..., Tensor] | None:
    try:
        return fla_form(kind)
    except ImportError:
        return None


def block_rows(sizes: Sizes) -> Iterator[Row]:
    """Each kernel at other sizes of its blocks: positions, features, warps."""
    if sizes.device != "cuda":
        return
    for name, make in (("diagonal", _diagonal), ("selective_scan", _selective)):
        for block in BLOCKS:
            label = f"{name} {block[0]} x {block[1]}, {block[2]} warps"
            yield label, lambda n=name, m=make, b=block: _block(n, m, b, sizes)


def _block(
    name: str, make: Callable[[Sizes], tuple[list[Tensor], Call]], block: tuple[int, int, int],
    sizes: Sizes,
) -> dict[str, Any]:  # fmt: skip
    from seqarena.ops.triton_kernels import diagonal, selective_scan

    module = {"diagonal": diagonal, "selective_scan": selective_scan}[name]
    before = module.BLOCK_LENGTH, module.BLOCK_WIDTH, module.WARPS
    module.BLOCK_LENGTH, module.BLOCK_WIDTH, module.WARPS = block
    try:
        leaves, call = make(sizes)
        seconds = repeats(lambda: _both(lambda: call("triton"), leaves), sizes)
    finally:
        module.BLOCK_LENGTH, module.BLOCK_WIDTH, module.WARPS = before
    median = spread(seconds)["median"]
    return {"block": block, "seconds": seconds, "says": f"{median * 1e3:.3f} ms"}
