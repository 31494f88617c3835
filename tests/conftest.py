"""Shared by all tests: real data, one thread, poisoned memory."""

import os
from pathlib import Path

import pytest
import torch

from seqarena.ops.registry import Operation

ROOT = Path(__file__).parent.parent
pytest_plugins = ["thinning", "pytester"]  # the short suite and the whole one; tests of tests


def pytest_configure() -> None:
    # kernels for a GPU run on the CPU where there is none; read when Triton is imported, which
    # use_deterministic_algorithms does
    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")
    # threads of the processes that tests start sleep while they wait, so that the others can work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    torch.set_num_threads(1)
    # torch.empty is filled with NaN, so that memory read before it is written shows
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.use_deterministic_algorithms(True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Whatever the test before did: two workers with two threads each wait for one another."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is what it is where no optional package is installed."""
    monkeypatch.setattr(Operation, "_is_installed", lambda self, name: False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, by SEQARENA_DATA."""
    place = Path(os.environ.get("SEQARENA_DATA", ROOT.parent / "shared" / "data"))
    if not place.is_absolute():
        place = ROOT / place
    if not place.is_dir():
        pytest.skip(f"no real data at {place}: set SEQARENA_DATA")
    return place
