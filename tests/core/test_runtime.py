"""Denormal numbers: kept by a new process, flushed in every thread of one that trains."""

import math
import subprocess
import sys

import pytest
import torch

from seqarena.core import runtime

# In a process of its own, since the mode is that of a process and its threads.
SAID = """
import sys, torch
from seqarena.core.runtime import denormals, flush_denormals
torch.set_num_threads(2)
if "first" in sys.argv:
    print(denormals())
assert flush_denormals().name == "flushed"
print(denormals())
"""


@pytest.mark.parametrize(
    ("asked", "said"),
    [([], ["flushed"]), (["first"], ["kept", "flushed in part"])],
    ids=["before any operation", "after the threads have started"],
)
def test_denormals_are_flushed_by_threads_that_start_later(
    asked: list[str], said: list[str]
) -> None:
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot flush denormals")
    found = subprocess.check_output([sys.executable, "-c", SAID, *asked], text=True)
    assert found.splitlines() == said


def test_a_processor_that_cannot_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_flush_denormal", lambda _: False)
    choice = runtime.flush_denormals()
    assert choice.name == "kept"
    assert "cannot" in choice.reason


@pytest.mark.parametrize(
    ("tiles", "flops", "name"),
    [
        (False, 1e8, "float32"),
        (False, runtime.SMALL_STEP, "bfloat16"),
        (False, math.inf, "bfloat16"),
        (True, 1e8, "bfloat16"),
    ],
)
def test_a_small_step_is_computed_in_float32_where_there_are_no_tiles(
    tiles: bool, flops: float, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    assert runtime.resolve_dtype("auto", "cpu", flops).name == name
    assert runtime.resolve_dtype("bfloat16", "cpu", flops) == ("bfloat16", "asked for")
