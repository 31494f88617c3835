"""A function of tensors as core ATen operators, whose free sizes stay symbols."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch._decomp import core_aten_decompositions
from torch._subclasses.fake_tensor import FakeTensorMode
from torch._subclasses.functional_tensor import dispatch_functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import (
    DimDynamic,
    ShapeEnv,
    StatelessSymbolicContext,
)

from seqarena.core.errors import UserError
from seqarena.ops import positions

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
ROWS, ROOM, LENGTH, LETTERS = 1009, 1013, 1019, 23  # where free: sizes that nothing else has
# while it is traced -> others for which its graph must be the same
SIZES = {ROWS: (1, 3, 50), ROOM: (4, 90, 5000), LENGTH: (2, 90, 5000), LETTERS: (3, 8, 70)}


def traced(
    function: Callable[..., Any], inputs: list[Tensor], free: list[set[Any]] | None
) -> fx.GraphModule:
    """`function` of tensors as core ATen operators. `free` are the axes of each input whose size
    stays a symbol: axes of one size share it, and each is a key of `SIZES`. None: all are fixed.

    Raises UserError where another size would take another branch.
    """
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    if free is not None:
        inputs = [_symbolic(mode, x, axes) for x, axes in zip(inputs, free, strict=True)]

    def call(*given: Tensor) -> Any:
        return function(*given)

    # with gradients on, nothing is written in place: a graph has no memory
    with torch.enable_grad(), _no_choice_by_size(), _nothing_remembered():
        found = make_fx(
            dispatch_functionalize(call),
            decomposition_table=cast("Any", {**core_aten_decompositions(), **_MORE}),
            tracing_mode="real" if free is None else "symbolic",
            _allow_non_fake_inputs=True,
        )(*inputs)
    if free is not None:
        _check_free(mode, inputs)
    return found


@contextmanager
def _no_choice_by_size() -> Iterator[None]:
    """Inside, the library does not choose a convolution by the number of rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about devices that are not here
        with torch.backends.mkldnn.flags(False), torch.backends.nnpack.flags(False):
            yield


@contextmanager
def _nothing_remembered() -> Iterator[None]:
    """Inside, rotations are computed anew: the tracer's are no numbers."""
    remembered = positions._remembered_rotation
    positions._remembered_rotation = cast("Any", remembered.__wrapped__)
    try:
        yield
    finally:
        positions._remembered_rotation = remembered


def _check_free(mode: FakeTensorMode, inputs: list[Tensor]) -> None:
    """Raises UserError where the tracing took a branch that other sizes would not take."""
    environment = cast("Any", mode.shape_env)
    symbols: dict[Any, tuple[int, ...]] = {}
    for size in (n for x in inputs for n in x.shape if isinstance(n, torch.SymInt)):
        symbols[size.node.expr] = SIZES[int(size.node.hint)]
    for guard in environment.guards:
        for values in zip(*symbols.values()):
            if not guard.expr.subs(dict(zip(symbols, values))):
                raise UserError("its graph is another one for another number of positions")


def _symbolic(mode: FakeTensorMode, tensor: Tensor, free: set[Any]) -> Tensor:
    """Axes of the same length share a symbol where they are free, and are numbers elsewhere."""
    sizes = [DimDynamic.DUCK if i in free else DimDynamic.STATIC for i in range(tensor.dim())]
    context = StatelessSymbolicContext(dynamic_sizes=sizes)
    return mode.from_tensor(tensor, symbolic_context=context)


def _unfold(x: Tensor, dim: int, size: int, step: int) -> Tensor:
    """Windows of `size`, `step` apart, by their indices, where their number is known."""
    count = (x.shape[dim] - size) // step + 1
    index = (step * torch.arange(count)[:, None] + torch.arange(size)).flatten()
    return x.index_select(dim, index).unflatten(dim, (count, size)).movedim(dim + 1, -1)


def _as_strided(x: Tensor, size: Any, stride: Any, offset: int | None = None) -> Any:
    """Each row by itself, by the indices of its numbers; any other is left as it is."""
    row = math.prod(x.shape[1:])
    if offset or size[0] != x.shape[0] or stride[0] != row or not x.is_contiguous():
        return NotImplemented
    index = torch.zeros((), dtype=torch.int64)
    for count, apart in zip(size[1:], stride[1:], strict=True):
        index = index[..., None] + apart * torch.arange(count)
    return x.flatten(1).index_select(1, index.flatten()).unflatten(1, size[1:])


_MORE = {aten.unfold.default: _unfold, aten.as_strided.default: _as_strided}
