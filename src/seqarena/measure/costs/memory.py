"""Memory: the exact peak of what tensors hold, counted from the allocator's own reports.

On the CPU the profiler reports every allocation and every release with its bytes; their running sum
is what the allocator has given out, to the byte and the same on every run. On CUDA the allocator
keeps the peak itself (and counts in blocks of 512 bytes).

Given out is not yet held: the system gives a page of 4 KiB when it is first written. A tensor of
results is written whole, but oneDNN's recurrent kernel asks for a workspace of which its forward
pass writes a third and its backward pass two (the fused LSTM: 130 MB asked for at width 256, batch
16 and 512 positions, 42 written, then 78). What was not written is therefore found, by filling
fresh memory with a pattern, and taken off.

Not seen on the CPU: scratch memory that a library takes from malloc itself (oneDNN, MKL, thread
stacks), Python's own objects, and what malloc keeps back between allocations.
"""

import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from seqarena.measure.costs.speed import synchronise

PAGE_BYTES = 4096
_MEASURED = "seqarena: measured step"
_PATTERN = 255  # what filled memory of bytes holds
_KERNEL = "aten::mkldnn_rnn_layer"


class Workspace(NamedTuple):
    """Bytes that a kernel asked for, and how many of them were not written: by its forward pass,
    and when its backward pass had ended."""

    size: int
    unwritten: int
    unwritten_at_end: int


def peak_bytes(make: Callable[[], Any], step: Callable[[Any], object], device: str = "cpu") -> int:
    """Peak bytes held during the second `step` of what `make` makes, its own tensors included.

    The first step runs unmeasured, so that gradients and the optimizer's moments exist; where a
    kernel has a workspace a third step finds what is written of it. Tensors that stood before the
    call are not counted.
    """
    counted = _cuda_peak if device.startswith("cuda") else _cpu_peak
    return counted(make, step, device)


def _cuda_peak(make: Callable[[], Any], step: Callable[[Any], object], device: str) -> int:
    synchronise(device)
    before = torch.cuda.memory_allocated(device)
    made = make()
    step(made)
    synchronise(device)
    torch.cuda.reset_peak_memory_stats(device)
    step(made)
    synchronise(device)
    return torch.cuda.max_memory_allocated(device) - before


def _cpu_peak(make: Callable[[], Any], step: Callable[[Any], object], device: str) -> int:
    # the profiler's library announces its start and stop on standard error below this level
    os.environ.setdefault("KINETO_LOG_LEVEL", "9")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        made = make()
        step(made)
        with record_function(_MEASURED):
            step(made)
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    events: list[Any] = profiler.profiler.kineto_results.events()
    (marker,) = (event for event in events if event.name() == _MEASURED)
    start_ns, end_ns = marker.start_ns(), marker.end_ns()
    changes = sorted(
        (event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"
    )
    backward_ns = [e.start_ns() for e in events if e.name() == f"{_KERNEL}_backward"]
    if backward_ns:
        changes = _held(changes, sorted(backward_ns), workspaces(lambda: step(made)))
    before = sum(change for at_ns, change in changes if at_ns < start_ns)
    during = (change for at_ns, change in changes if start_ns <= at_ns <= end_ns)
    return max(itertools.accumulate(during, initial=before))


def _held(
    changes: list[tuple[int, int]], backward_ns: list[int], found: list[Workspace]
) -> list[tuple[int, int]]:
    """The changes with workspaces as they are written: at first by the forward pass, further when
    the backward pass begins that releases the workspace next."""
    spaces = {space.size: space for space in found}
    held = []
    for at_ns, change in changes:
        space = spaces.get(abs(change))
        if space is None:
            held.append((at_ns, change))
        elif change > 0:
            held.append((at_ns, change - space.unwritten))
        else:
            more = space.unwritten - space.unwritten_at_end
            began_ns = max((one for one in backward_ns if one <= at_ns), default=at_ns)
            held += [(began_ns, more), (at_ns, change + space.unwritten_at_end)]
    return sorted(held)


def workspaces(step: Callable[[], object]) -> list[Workspace]:
    """The workspaces of the kernels that one training step on the CPU runs: tensors of bytes that
    the forward pass saves for the backward pass."""
    kept: list[tuple[Tensor, int]] = []

    def unpack(saved: Tensor) -> Tensor:
        if saved.dtype == torch.uint8 and saved.nbytes >= PAGE_BYTES:
            kept.append((saved, unwritten_bytes(saved)))
        return saved

    # the tensor itself could hold its own graph alive
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.detach(), unpack)
    with filled_memory(), hooks:
        step()
    return [Workspace(saved.nbytes, at_first, unwritten_bytes(saved)) for saved, at_first in kept]


def unwritten_bytes(tensor: Tensor) -> int:
    """Bytes of the whole pages of a tensor of bytes that still hold what `filled_memory` left."""
    pages_PB = tensor.flatten()[: tensor.numel() // PAGE_BYTES * PAGE_BYTES].view(-1, PAGE_BYTES)
    return PAGE_BYTES * int((pages_PB == _PATTERN).all(1).sum())


@contextmanager
def filled_memory() -> Iterator[None]:
    """Fresh tensors hold a pattern inside, so that what was written can be told from what was not.
    For one step: operations may take slower ways."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    filling: Any = torch.utils.deterministic  # a module with one setting, which has no type
    fills = filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    filling.fill_uninitialized_memory = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of operations that have no such way
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
        filling.fill_uninitialized_memory = fills
