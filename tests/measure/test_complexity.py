"""Every architecture of the catalog has its row of the complexity table."""

import sys

import pytest

from seqarena.core.batch import own_inputs
from seqarena.core.errors import UserError
from seqarena.measure.complexity import complexity_row, numeric_row
from seqarena.mixers.base import Complexity
from seqarena.models.any import build_model
from seqarena.models.build import model_config
from seqarena.models.catalog import CATALOG, architecture
from seqarena.models.model import load_system
from seqarena.models.stacks.stack import load_mixer

KEYS = {"title", "family", "year", "paper", "idea", *Complexity._fields}


@pytest.mark.parametrize("name", CATALOG)
def test_every_catalog_row_is_complete(name: str) -> None:
    row = complexity_row(name)
    assert set(row) == KEYS | {"equations"}
    assert all(str(row[key]).strip() for key in KEYS)


@pytest.mark.parametrize("name", [name for name, row in CATALOG.items() if row.system is None])
def test_a_stack_shows_what_its_mixers_state_and_their_files_open_with(name: str) -> None:
    equations = complexity_row(name)["equations"]
    for mixer_class in {load_mixer(place) for place, _ in CATALOG[name].cycle}:
        assert mixer_class.equation
        assert mixer_class.equation in equations
        head = sys.modules[mixer_class.__module__].__doc__ or ""
        for line in mixer_class.equation.splitlines():
            assert f"    {line}\n" in head


def test_equations_of_some_rows() -> None:
    assert "c_t = f * c_{t-1} + i * g" in complexity_row("lstm")["equations"]
    assert "(causal), or all c" in complexity_row("hybrid")["equations"]


@pytest.mark.parametrize("name", [name for name, row in CATALOG.items() if row.system])
def test_a_system_states_its_equation_as_the_head_of_its_file_does(name: str) -> None:
    system = load_system(CATALOG[name].system or "")
    head = (sys.modules[system.__module__].__doc__ or "").splitlines()
    lines = complexity_row(name)["equations"].splitlines()
    assert lines
    for line in lines:
        assert any(line.strip() in each for each in head), line


def test_a_hybrid_names_each_of_its_mixers_orders() -> None:
    hybrid = complexity_row("hybrid")["work"]
    for part in ("mamba", "attention"):
        assert complexity_row(part)["work"] in hybrid


def test_layers_of_one_class_are_named_once() -> None:
    assert len(CATALOG["conv"].cycle) > 1
    assert ";" not in complexity_row("conv")["work"]


def test_an_unknown_name_is_a_clear_error() -> None:
    with pytest.raises(UserError, match="did you mean mingru"):
        complexity_row("mingrue")


def test_numbers_are_those_of_the_model_that_is_built() -> None:
    config = model_config(architecture("attention"), own_inputs(50), params=None, width=24, depth=2)
    model = build_model(config)
    assert numeric_row(config, 32) == {
        "parameters": model.num_parameters,
        "flops": model.flops(32),
        "training_flops": model.training_flops(32),
        "serial_steps": model.serial_steps(32),
        "state_bytes": model.state_bytes(32),
    }
