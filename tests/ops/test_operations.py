"""Operations and their algorithms: what is there, what `auto` is, and what a user is told."""

from pathlib import Path

import pytest
import torch

import seqarena.ops.ctc
import seqarena.ops.diagonal
import seqarena.ops.minimal
import seqarena.ops.short_convolution
from seqarena.core.errors import UserError
from seqarena.mixers.contract import subject
from seqarena.mixers.minimal.mingru import MinGRU, MinGRUConfig
from seqarena.models.catalog import CATALOG
from seqarena.models.stacks.stack import layer_operation
from seqarena.ops import measured
from seqarena.ops.measured import ROWS
from seqarena.ops.minimal import minimal_recurrence
from seqarena.ops.registry import Operation, installed, named_forms, operation, register_files

PLANTED = """
from seqarena.ops.minimal import minimal_recurrence
from seqarena.ops.minimal.reference import loop

minimal_recurrence.algorithm("planted", serial_steps=lambda length: length)(loop)
"""


@operation("twice")
def twice(x: torch.Tensor, *, algorithm: str = "auto") -> torch.Tensor:
    return twice.form(algorithm, x)(x)


@twice.truth("sum", serial_steps=lambda length: 1)
def _sum(x: torch.Tensor) -> torch.Tensor:
    return x + x


@twice.algorithm("on_gpu", devices=("cuda",), serial_steps=lambda length: 1)
@twice.algorithm("in_float32", dtypes=(torch.float32,), serial_steps=lambda length: 1)
@twice.algorithm("by_package", needs="no_such_package", serial_steps=lambda length: 1)
def _product(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


OPERATIONS: dict[str, Operation] = {
    found.name: found
    for row in CATALOG.values()
    for found in (layer_operation(place, options) for place, options in row.cycle)
} | {
    "linear_recurrence": seqarena.ops.diagonal.linear_recurrence,
    "ctc": seqarena.ops.ctc.ctc,
    "short_convolution": seqarena.ops.short_convolution.short_convolution,
}


def test_the_truth_comes_first_and_only_what_runs_is_available() -> None:
    assert twice.names == ("sum", "by_package", "in_float32", "on_gpu")
    assert twice.available("cpu", torch.float32) == ("sum", "in_float32")
    assert twice.available("cpu", torch.float64) == ("sum",)
    assert twice.available("cuda:1", torch.float64) == ("sum", "on_gpu")
    assert twice.available("mps", torch.float32) == ("sum",)


def test_the_form_that_was_asked_for_runs() -> None:
    x = torch.tensor([3.0])
    assert twice(x, algorithm="in_float32").item() == 6.0
    assert twice.resolve("auto", "cpu", torch.float32) == "sum"  # nothing was measured


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("on_gpu", "does not run on cpu in float64: use auto or sum"),
        ("in_float32", "does not run on cpu in float64: use auto or sum"),
        ("by_package", "needs no_such_package: pip install no_such_package"),
        ("in_float23", "did you mean in_float32"),
    ],
)
def test_mistakes_get_one_line_that_says_what_is_right(wanted: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        twice.resolve(wanted, "cpu", torch.float64)


def test_forms_of_a_class_of_its_own_resolve_to_the_last() -> None:
    own = named_forms("Mine", ("slow", "fast", "faster"))
    assert own.resolve("auto", "mps", torch.float64) == "faster"
    assert own.available("cuda", torch.float32) == ("slow", "fast", "faster")
    with pytest.raises(TypeError, match="itself"):
        own(torch.zeros(1))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_measured_on_cpu_and_cuda(name: str, device: str) -> None:
    rows = [row for row in ROWS if (row.operation, row.device) == (name, device)]
    assert [row.case for row in rows].count("") == 1
    for row in rows:
        assert row.source
        assert row.algorithm in OPERATIONS[name].names
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            assert OPERATIONS[name].resolve("auto", device, dtype, row.case)


def test_parameters_of_16_bits_can_have_a_choice_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = measured.MeasuredChoice("twice", "cpu", "in_float32", "planted", half="sum")
    monkeypatch.setitem(measured._BY_PLACE, ("twice", "", "cpu"), row)
    assert twice.resolve("auto", "cpu", torch.float32) == "in_float32"
    assert twice.resolve("auto", "cpu", torch.bfloat16) == "sum"
    assert twice.resolve("auto", "cuda", torch.float32) == "sum"  # nothing was measured there


def test_no_row_is_of_an_operation_that_is_gone() -> None:
    assert {row.operation for row in ROWS} == set(OPERATIONS)


def test_on_the_cpu_auto_is_what_it_was(without_packages: None) -> None:
    """The golden numbers depend on it."""
    expected = {
        "elman": "stepwise", "gru": "stepwise", "gru_reset_before": "stepwise", "lstm": "fused",
        "lstm_peephole": "stepwise", "slstm": "stepwise",
        "minimal_recurrence": "fused", "linear_recurrence": "fused", "selective_scan": "chunked",
        "diagonal_ssm": "chunked", "attention": "fused",
        "window_attention": "banded", "strided_attention": "blocked",
        "block_attention": "gathered", "causal_convolution": "unfolded",
        "long_convolution": "halves", "dplr_ssm": "chunked", "stack_rnn": "stepwise",
        "sru": "stepwise", "matrix_recurrence": "chunked", "ctc": "library",
        "short_convolution": "loop",
    }  # fmt: skip
    found = {name: op.resolve("auto", "cpu", torch.float32) for name, op in OPERATIONS.items()}
    assert found == expected


FASTER = [row for row in ROWS if row.package is not None]


@pytest.mark.parametrize("row", FASTER, ids=lambda row: row.operation)
def test_a_package_makes_auto_faster_in_float32_alone(
    row: measured.MeasuredChoice, without_packages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = OPERATIONS[row.operation]
    assert row.package is not None
    assert found._algorithms[row.package.algorithm].needs == row.package.package
    assert row.package.times >= 1.15
    assert found.resolve("auto", "cpu", torch.float32) == row.algorithm
    assert found.missing_package("cpu", torch.float32) == row.package
    assert found.missing_package("cpu", torch.float64) is None
    assert found.missing_package("cuda", torch.float32) is None
    monkeypatch.setattr(Operation, "_is_installed", lambda self, name: True)
    assert found.missing_package("cpu", torch.float32) is None
    if installed(row.package.package):
        assert found.resolve("auto", "cpu", torch.float32) == row.package.algorithm
    assert found.resolve("auto", "cpu", torch.float64) == row.algorithm
    assert found.resolve("auto", "cpu", torch.bfloat16) == (row.half or row.algorithm)


def test_a_new_algorithm_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the operation's folder registers itself, and the mixer and its contract see it."""
    (tmp_path / "planted.py").write_text(PLANTED)
    folder = [*seqarena.ops.minimal.__path__, str(tmp_path)]
    monkeypatch.setattr(seqarena.ops.minimal, "__path__", folder)
    monkeypatch.setattr(minimal_recurrence, "_algorithms", dict(minimal_recurrence._algorithms))
    before = minimal_recurrence.resolve("auto", "cpu", torch.float32)
    register_files("seqarena.ops.minimal", folder)
    found = set(subject(MinGRU).algorithms())
    assert found - {"compiled"} == {"loop", "chunked", "fused", "planted", "scan"}
    assert minimal_recurrence.resolve("auto", "cpu", torch.float32) == before
    x_BTD = torch.randn(2, 9, 6)
    torch.manual_seed(0)
    planted = MinGRU(6, MinGRUConfig(algorithm="planted"))
    torch.manual_seed(0)
    loop = MinGRU(6, MinGRUConfig(algorithm="loop"))
    assert planted.algorithm == "planted"
    assert torch.equal(planted(x_BTD)[0], loop(x_BTD)[0])
