"""Splits are positions in the text: they never overlap and leave nothing out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqarena.core.errors import UserError
from seqarena.data.splits import split_text


@given(st.integers(20, 5_000), st.floats(0.05, 0.45), st.floats(0.05, 0.45))
def test_parts_follow_each_other_and_make_up_the_text(length, validation, test):
    text = "".join(chr(0x4E00 + i) for i in range(length))  # every character once
    splits = split_text(text, validation, test)
    assert "".join(splits) == text
    assert abs(len(splits.validation) - validation * length) <= 1
    assert abs(len(splits.test) - test * length) <= 1


def test_default_is_ninety_five_five():
    splits = split_text("x" * 1_000)
    assert [len(part) for part in splits] == [900, 50, 50]


def test_two_part_recipe_tests_on_validation():
    text = "".join(chr(i) for i in range(1_000))
    splits = split_text(text, 0.1, "validation")
    assert splits.train == text[:900]
    assert splits.validation == splits.test == text[900:]


@pytest.mark.parametrize(
    ("validation", "test", "message"),
    [
        (0.0, 0.05, "validation_fraction is 0.0"),
        (1.5, 0.05, "validation_fraction is 1.5"),
        (float("nan"), 0.05, "validation_fraction is nan"),
        (0.05, 0.0, "test_fraction is 0.0.*'validation'"),
        (0.5, 0.5, "leave nothing to train on"),
    ],
)
def test_bad_fractions(validation, test, message):
    with pytest.raises(UserError, match=message):
        split_text("x" * 1_000, validation, test)


def test_text_too_short_for_a_split():
    with pytest.raises(UserError, match="split is empty: 3 characters"):
        split_text("abc", 0.05, 0.05)
