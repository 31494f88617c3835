"""How many positions of a padded batch are computed: those of its longest row, which is a number
that is read from a tensor. A graph that is traced for rows of any length cannot read it (`uncut`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

NUMBERS_DEPEND_ON_THIS = False  # what lies behind the longest row changes no answer
_uncut: ContextVar[bool] = ContextVar("uncut", default=False)


def longest(lengths_B: Tensor, length: int) -> int:
    """The positions of the longest row, at least 1; all `length` of them inside of `uncut`."""
    return length if _uncut.get() else max(1, int(lengths_B.max()))


def first_in_use(number_BT: Tensor) -> int:
    """The smallest number; 0, the smallest that there can be, inside of `uncut`."""
    return 0 if _uncut.get() else int(number_BT.min())


@contextmanager
def uncut() -> Iterator[None]:
    """Inside, nothing is cut to what a batch needs, and no number is read from a tensor for it."""
    before = _uncut.set(True)
    try:
        yield
    finally:
        _uncut.reset(before)
