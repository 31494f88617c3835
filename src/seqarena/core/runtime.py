"""Run-time facts: device, dtype, threads, seeds, provenance. Every choice has words for it."""

import datetime
import functools
import gc
import hashlib
import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from seqarena.core.errors import UserError
from seqarena.core.results.records import Provenance
from seqarena.core.version import __version__

SMALL_STEP = 3e9  # operations, up to which float32 is no slower (docs/lab_log.md)
_NUMERIC_PACKAGES = ("core", "data", "tasks", "ops", "mixers", "models", "train")


class Compilation:
    """What compiling kernels took in this process, so that a training's clock can leave it out."""

    seconds: float = 0.0


COMPILATION = Compilation()


class Choice(NamedTuple):
    """A device or dtype, and the sentence that says why."""

    name: str
    reason: str


def resolve_device(wanted: str = "auto") -> Choice:
    """`auto` is CUDA where there is one, else the CPU. Raises UserError for one that is absent."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return Choice("cuda", f"CUDA device {torch.cuda.get_device_name()}")
        return Choice("cpu", "no CUDA device was found")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device {wanted!r} was asked for, but torch sees no CUDA device: use cpu")
    if wanted.split(":")[0] not in ("cpu", "cuda"):
        raise UserError(f"unknown device {wanted!r}: use auto, cpu, cuda or cuda:N")
    return Choice(wanted, "asked for")


def resolve_dtype(wanted: str, device: str, step_flops: float = math.inf) -> Choice:
    """`auto` is bfloat16 autocast where the hardware computes in it, else float32. A CPU
    without a unit for tiles (AMX) takes longer to convert than it wins in a small step;
    `step_flops` are about the operations of a step's products."""
    if wanted == "auto":
        if device.startswith("cuda"):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        tiles = device.startswith("cuda") or torch.cpu._is_amx_tile_supported()
        if native and not tiles and step_flops < SMALL_STEP:
            return Choice("float32", "steps this small are faster in it than in bfloat16")
        if native:
            return Choice("bfloat16", "autocast: the hardware computes in bfloat16")
        return Choice("float32", "this hardware has no bfloat16 arithmetic")
    if wanted not in ("float32", "bfloat16", "float64"):
        raise UserError(f"unknown dtype {wanted!r}: use auto, float32, bfloat16 or float64")
    return Choice(wanted, "asked for")


def autocast(device: str, dtype: str) -> torch.autocast:
    """The autocast context for a resolved dtype (switched off unless it is bfloat16)."""
    return torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=dtype == "bfloat16")


def parameter_dtype(dtype: str) -> torch.dtype:
    """Parameters stay float32 under bfloat16 autocast."""
    return torch.float64 if dtype == "float64" else torch.float32


def flush_denormals() -> Choice:
    """Makes the CPU take numbers too small for full precision (below 1.2e-38 in float32) for zero,
    from now on: in this thread, and in those that start later. Call it before the first operation.

    A gradient that fades over a long sequence ends in such numbers, and arithmetic with them is
    many times slower. Returns what becomes of them, `flushed` or `kept`, and why.
    """
    if torch.set_flush_denormal(True):
        return Choice("flushed", "numbers too small for full precision are zero: they are slow")
    return Choice("kept", "this processor cannot flush them")


def denormals() -> str:
    """What becomes of them in this process as it is: `flushed`, `kept`, or `flushed in part`, by
    some of its threads."""
    enough = 2**16 * torch.get_num_threads()  # for every thread to take part
    halves = torch.full((enough,), torch.finfo(torch.float32).tiny) / 2
    if bool((halves == 0).all()):
        return "flushed"
    return "flushed in part" if bool((halves == 0).any()) else "kept"


@functools.cache
def code_digest() -> str:
    """Eight hexadecimal digits over all sources that numbers can depend on, for the record. What
    one job depends on is less: jobs/sources.py."""
    root = Path(__file__).parent.parent
    hasher = hashlib.sha256()
    for package in _NUMERIC_PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            hasher.update(path.relative_to(root).as_posix().encode())
            hasher.update(path.read_bytes())
    return hasher.hexdigest()[:8]


def processor_name(device: str = "cpu") -> str:
    """The processor's or the GPU's own name where the system tells it."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> None:
    """Gives back what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def seed_generators(seed: int, device: str) -> None:
    """The numbers of torch.manual_seed for the CPU and `device`, without what it does for devices
    that are not used: that took a twentieth of a small model's step."""
    torch.default_generator.manual_seed(seed)
    if device.startswith("cuda"):
        torch.cuda.manual_seed(seed)


def provenance(
    device: str, dtype: str, freed_memory: str, products: str, algorithms: tuple[str, ...]
) -> Provenance:
    """The record of where and how numbers come to be."""
    return Provenance(
        seqarena_version=__version__,
        code_digest=code_digest(),
        torch_version=torch.__version__,
        python_version=platform.python_version(),
        platform=platform.platform(),
        processor=processor_name(device),
        device=device,
        dtype=dtype,
        threads=torch.get_num_threads(),
        freed_memory=freed_memory,
        denormals=denormals(),
        products=products,
        algorithms=algorithms,
        started_at=now(),
    )


def now() -> str:
    """The moment, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Runs with that many threads inside operations, then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
