"""Memory: the exact peak of what torch's allocator holds, counted from its own reports.

On the CPU the profiler reports every allocation and every release with its bytes; their running sum
is what the allocator holds, to the byte and the same on every run. On CUDA the allocator keeps the
peak itself (and counts in blocks of 512 bytes).

Not seen on the CPU: scratch memory that a library takes from malloc itself (oneDNN, MKL, thread
stacks), Python's own objects, and what malloc keeps back between allocations.
"""

import itertools
import os
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from seqarena.measure.costs.speed import synchronise

_MEASURED = "seqarena: measured step"


def peak_bytes(make: Callable[[], Any], step: Callable[[Any], object], device: str = "cpu") -> int:
    """Peak bytes held during the second `step` of what `make` makes, its own tensors included.

    The first step runs unmeasured, so that gradients and the optimizer's moments exist. Tensors
    that stood before the call are not counted.
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
    before = sum(change for at_ns, change in changes if at_ns < start_ns)
    during = (change for at_ns, change in changes if start_ns <= at_ns <= end_ns)
    return max(itertools.accumulate(during, initial=before))
