"""The contract in the dtypes of training and on a GPU: each mixer once."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.mixers.contract import CheckResult, run_checks, subject
from seqarena.mixers.minimal.mingru import MinGRU
from seqarena.models.catalog import CATALOG
from seqarena.models.checking import mixers_to_check

# of each mixer the first row that is made of it alone
EACH = {
    row.cycle[0][0]: row.name
    for row in reversed(CATALOG.values())
    if len({place for place, _ in row.cycle}) == 1
}
STACKS = [name for name, row in CATALOG.items() if row.system is None]

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU here")


def failures(name: str, device: str, dtype: str) -> list[CheckResult]:
    first = mixers_to_check(name, device=device, dtype=dtype)[0]
    return [result for result in run_checks(first) if result.failure]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", EACH.values())
def test_in_the_dtypes_of_training(name: str, dtype: str) -> None:
    assert failures(name, "cpu", dtype) == []


@pytest.fixture
def any_order() -> Iterator[None]:
    """Some sums of a GPU have no order that is always the same; these tests do not need one."""
    torch.use_deterministic_algorithms(False)
    yield
    torch.use_deterministic_algorithms(True)


@needs_gpu
@pytest.mark.usefixtures("any_order")
@pytest.mark.filterwarnings("ignore:RNN module weights are not part of single contiguous chunk")
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", STACKS)
def test_on_a_gpu(name: str, dtype: str) -> None:
    assert failures(name, "cuda", dtype) == []


class RoundsItsInput(MinGRU):
    """Right in float64, and worse than it need be in float32."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> Any:
        if x_BTD.dtype == torch.float32:
            x_BTD = x_BTD + (x_BTD.bfloat16() - x_BTD).detach()
        return super().mix(x_BTD, state, lengths_B)


def test_a_mistake_of_one_dtype_is_caught_there() -> None:
    wrong = subject(RoundsItsInput), subject(RoundsItsInput, dtype=torch.float32)
    failed = [[result.name for result in run_checks(s) if result.failure] for s in wrong]
    assert failed == [[], ["gradients"]]


def test_check_runs_a_built_in_name_in_a_dtype() -> None:
    result = CliRunner().invoke(app, ["check", "hybrid", "--dtype", "float32"])
    assert result.exit_code == 0, result.output
    assert "hybrid: Mamba on cpu in float32" in result.output
    assert "algorithms loop, chunked, compiled, scan" in result.output
    assert "hybrid: Attention on cpu in float32" in result.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="finds no GPU here: use cpu"):
        mixers_to_check("gru", device="cuda")
