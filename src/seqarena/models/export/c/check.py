"""A C file compiled by the machine's compiler and run beside torch."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.models.export.c.source import CSource

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
FLAGS = ("-std=c99", "-Wall", "-Werror", "-O2")


def compiler() -> str | None:
    """The C compiler of this machine, if there is one."""
    return next((found for name in ("gcc", "cc", "clang") if (found := shutil.which(name))), None)


def run_test_vector(source: CSource, name: str) -> float:
    """Compiles the file with its `main`, runs it, and returns the largest relative difference.

    Raises UserError where it does not compile or the vector does not hold.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = _compiled(source, name, Path(folder), f"-D{name.upper()}_TEST")
        run = subprocess.run([program], capture_output=True, text=True)
        if run.returncode != 0:
            raise UserError(f"the test vector of {name}.c does not hold: {run.stdout.strip()}")
        return float(run.stdout.split()[-1])


def largest_difference(source: CSource, name: str, inputs: Tensor, expected_TV: Tensor) -> float:
    """Between the file's logits after each of `inputs`, [T] tokens or [T, F] features, and
    `expected_TV`, relative to the latter's largest number (at least 1)."""
    with tempfile.TemporaryDirectory() as folder:
        library = _compiled(source, name, Path(folder), "-shared", "-fPIC")
        step = _loaded(library, name, source)
        found_TV = torch.stack([step(one) for one in inputs])
    scale = max(1.0, float(expected_TV.abs().max()))
    return float((found_TV - expected_TV).abs().max()) / scale


def _loaded(library: Path, name: str, source: CSource) -> Callable[[Tensor], Tensor]:
    loaded = ctypes.CDLL(str(library))
    state = ctypes.create_string_buffer(source.state_bytes + 64)
    loaded[f"{name}_init"](state)
    outputs = source.outputs

    def step(one: Tensor) -> Tensor:
        logits = torch.empty(outputs)
        given = (
            ctypes.c_void_p(one.contiguous().data_ptr())
            if one.is_floating_point()
            else ctypes.c_int32(int(one))
        )
        code = loaded[f"{name}_step"](state, given, ctypes.c_void_p(logits.data_ptr()))
        if code:
            raise UserError(f"{name}_step returned {code}")
        return logits

    return step


def _compiled(source: CSource, name: str, folder: Path, *flags: str) -> Path:
    found = compiler()
    if found is None:
        raise UserError("there is no C compiler here: install gcc or clang")
    (folder / f"{name}.c").write_text(source.text, encoding="utf-8")
    result = folder / name
    command = [found, *FLAGS, *flags, str(folder / f"{name}.c"), "-lm", "-o", str(result)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise UserError(f"{name}.c does not compile: {run.stderr.strip()[:500]}")
    return result
