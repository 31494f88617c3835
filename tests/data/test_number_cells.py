"""Cells as numbers: every reader of numbers takes the same ones, and the same ones as missing."""

import math

import pytest

from seqarena.core.errors import UserError
from seqarena.data.series.numbers import is_number, number_of, parse_number

CELLS = [
    ("1.5", 1.5), (" -2 ", -2.0), ("1e3", 1000.0), (7, 7.0), (True, 1.0),
    (None, math.nan), ("", math.nan), (".", math.nan), (" NA ", math.nan), ("?", math.nan),
    ("1_000", None), ("x", None), ("1,5", None), ([1], None), (10**400, None),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "number"), CELLS, ids=str)
def test_a_cell_is_a_number_missing_or_a_text(cell, number):
    found = number_of(cell)
    assert found == pytest.approx(number, nan_ok=True) if number is not None else found is None
    assert is_number(cell) == (number is not None)


@pytest.mark.parametrize(("cell", "said"), [("1_000", "no number"), ("-inf", "a finite number")])
def test_what_is_no_number_names_its_place(cell, said):
    with pytest.raises(UserError, match=f"f.csv, line 3: 'x' holds '{cell}'.*{said}"):
        parse_number(cell, "f.csv, line 3", "x")
