"""Train, validation and test by position in the text, cut before any tokenizer sees it, where the
files do not say them.

The cut is made between characters, so that it is the same for every tokenizer and every part is
valid UTF-8. Position, not chance, decides: neighbouring sentences repeat each other, and a random
split would leak the test into the training.
"""

from typing import Literal, NamedTuple

from seqarena.core.errors import UserError


class TextSplits(NamedTuple):
    """The three parts of a text, in their order."""

    train: str
    validation: str
    test: str


def split_text(
    text: str,
    validation_fraction: float = 0.05,
    test_fraction: float | Literal["validation"] = 0.05,
) -> TextSplits:
    """The first part trains, the next validates, the last tests.

    `test_fraction="validation"` tests on the validation text, for published recipes that know no
    third part (then a tuned choice has seen its test, and the record says so).

    Raises UserError when the fractions leave nothing for one of the parts.
    """
    check_fractions(validation_fraction, test_fraction)
    held_out = 0.0 if test_fraction == "validation" else test_fraction
    # rounding undoes 1 - 0.05 - 0.05 = 0.8999999999999999, so that int() cuts where one expects
    validation_start = int(len(text) * round(1 - validation_fraction - held_out, 12))
    test_start = int(len(text) * round(1 - held_out, 12))
    train = text[:validation_start]
    validation = text[validation_start:test_start]
    test = validation if test_fraction == "validation" else text[test_start:]
    for name, part in zip(TextSplits._fields, (train, validation, test)):
        if not part:
            raise UserError(f"the {name} split is empty: {len(text)} characters are too few")
    return TextSplits(train, validation, test)


def complete_text(
    parts: TextSplits,
    validation_fraction: float,
    test_fraction: float | Literal["validation"],
) -> tuple[TextSplits, str]:
    """Parts that the data name, and what they lack cut off the end of the training text; and how
    that was done. `test_fraction="validation"` tests on the validation text whatever there is.

    Raises UserError when a part would be empty.
    """
    check_fractions(validation_fraction, test_fraction)
    train, validation, test = parts
    cut = []
    if not test and test_fraction != "validation":
        start = int(len(train) * round(1 - test_fraction, 12))
        train, test = train[:start], train[start:]
        cut.append("test")
    if not validation:
        start = int(len(train) * round(1 - validation_fraction, 12))
        train, validation = train[:start], train[start:]
        cut.append("validation")
    unused = bool(test) and test_fraction == "validation"
    if test_fraction == "validation":
        test = validation
    for name, part in zip(TextSplits._fields, (train, validation, test)):
        if not part:
            raise UserError(f"the {name} split is empty: add text to it")
    how = " and ".join(cut)
    how = f"{how} cut off the end of the training text" if cut else "the fractions do not apply"
    how += "; the test files are not used: test_fraction is 'validation'" if unused else ""
    return TextSplits(train, validation, test), how


def check_fractions(
    validation_fraction: float, test_fraction: float | Literal["validation"]
) -> None:
    """Raises UserError unless each is between 0 and 1 and something is left to train on."""
    held_out = 0.0 if test_fraction == "validation" else test_fraction
    if not 0 < validation_fraction < 1:
        raise UserError(f"validation_fraction is {validation_fraction}: it must be between 0 and 1")
    if test_fraction != "validation" and not 0 < held_out < 1:
        raise UserError(
            f"test_fraction is {test_fraction}: it must be between 0 and 1, or 'validation' "
            "to test on the validation text"
        )
    if round(validation_fraction + held_out, 12) >= 1:
        raise UserError(
            f"validation_fraction {validation_fraction} and test_fraction {test_fraction} "
            "leave nothing to train on: their sum must be below 1"
        )


def parse_range(text: str) -> range:
    """`0-4` or `7` as numbers. Raises UserError for anything else."""
    first, dash, last = text.partition("-")
    try:
        numbers = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        numbers = range(0)
    if not numbers:
        raise UserError(f"index range {text!r}: write it as 0-4, first and last number")
    return numbers
