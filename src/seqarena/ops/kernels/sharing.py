"""Independent rows shared out among as many threads as torch may use.

The threads are ours: those of torch wait for its own work only, and numba's would be a second pool
of OpenMP. A kernel holds no lock of Python while it runs. Which thread computes a row changes no
number.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from seqarena.ops.kernels.compiling import Kernel

SMALL = 2**17  # numbers, below which waking a thread takes longer than the work


def share_out(kernel: "Kernel", rows: int, work: int, *arguments: Any) -> None:
    """kernel(first, stop, *arguments) over all `rows`; `work` is how many numbers they take."""
    parts = min(torch.get_num_threads(), rows, 1 + work // SMALL)
    if parts <= 1 or kernel.is_new:  # one thread compiles it
        kernel(0, rows, *arguments)
        return
    bounds = [rows * part // parts for part in range(parts + 1)]
    pool = _pool(os.getpid(), parts - 1)
    others = [pool.submit(kernel, first, stop, *arguments) for first, stop in pairwise(bounds[1:])]
    kernel(0, bounds[1], *arguments)
    for other in others:
        other.result()


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """A process that was forked has none of its parent's threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="seqarena-kernel")
