"""Costs by formula are those of the model that is built, and of the algorithm that is named."""

import pytest

from seqarena.core.errors import UserError
from seqarena.core.results.estimates import exponent
from seqarena.core.results.measurement import Series
from seqarena.measure.costs.counted import QUANTITIES, counted
from seqarena.measure.subject import subject


def by_quantity(found: list[Series]) -> dict[str, Series]:
    return {one.quantity: one for one in found}


def test_the_figures_are_those_of_the_model() -> None:
    for name in ("gated_delta", "attention_sinks", "qwen3_next"):
        found = by_quantity(counted([name], lengths=[64, 32], width=32))
        for length in (32, 64):
            model = subject(name, width=32, depth=1).build(length)
            for method, quantity in QUANTITIES.items():
                (here,) = [p.repeats for p in found[quantity].points if p.x == length]
                assert here == (getattr(model, method)(length),)


def test_a_hybrid_has_its_whole_pattern() -> None:
    (found, *_) = counted(["jamba"], lengths=[32], width=32)
    assert found.settings["depth"] == 8


def test_serial_steps_are_those_of_the_algorithm() -> None:
    lengths = [512, 1024, 2048, 4096]
    scan, loop = (
        exponent(by_quantity(counted(["lru"], lengths=lengths, algorithm=form))["serial_steps"])
        for form in ("scan", "loop")
    )
    assert scan.value < 0.2 < 0.9 < loop.value


def test_an_unknown_name_is_a_clear_error() -> None:
    with pytest.raises(UserError, match="mamba5"):
        counted(["mamba5"], lengths=[32])
