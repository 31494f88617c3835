"""The numbers of a C file: float, or int8 with a factor for each row of a matrix.

A row is one output unit of a product, or one token of a table: w = factor * q, with q from -127 to
127 and the factor the row's largest weight over 127. A table that is the head's matrix as well is
stored once. Vectors, filters and matrices that are no parameter stay float.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, fx

from seqarena.core.errors import UserError
from seqarena.models.export.c.operators import c_type, literal
from seqarena.models.export.c.views import View, contiguous
from seqarena.models.export.graph import StepGraph

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
PRECISIONS = ("float32", "int8")
_PER_LINE = 8


class Stored(NamedTuple):
    """One array of the file. `scales`: of int8, one a column of `values`; `transposed`: the graph's
    constant has its axes the other way around."""

    name: str
    values: Tensor
    scales: Tensor | None
    transposed: bool

    @property
    def num_bytes(self) -> int:
        one = 1 if self.scales is not None else 4
        return one * self.values.numel() + (0 if self.scales is None else 4 * self.scales.numel())


class ConstantArrays:
    """The constants of a step graph; those of matrices are rounded in place where they become
    int8, so that the graph computes what the C file does."""

    def __init__(self, step: StepGraph, precision: str) -> None:
        """Raises UserError for an unknown precision."""
        if precision not in PRECISIONS:
            raise UserError(f"precision {precision!r}: use {' or '.join(PRECISIONS)}")
        self.arrays: list[Stored] = []
        self._views: dict[str, View] = {}
        self._module = step.module
        matrices = matrix_constants(step.module)
        held: dict[int, tuple[Tensor, Stored]] = {}
        # matrices first: how a product reads a table says how it is laid out
        for name in sorted(_constants(step.module), key=lambda name: name not in matrices):
            tensor = getattr(step.module, name)
            place = tensor.untyped_storage().data_ptr()
            found = held.get(place)
            view = None if found is None else _shared(tensor, *found)
            if view is None:
                stored = self._store(tensor, matrices.get(name), precision)
                view = _whole(stored)
                if found is None and tensor.dim() == 2:
                    held[place] = (tensor, stored)
            self._views[name] = view

    def view(self, name: str) -> View:
        """Where a constant of the graph is."""
        return self._views[name]

    @property
    def num_bytes(self) -> int:
        """What all arrays take in flash."""
        return sum(array.num_bytes for array in self.arrays)

    def lines(self) -> Iterator[str]:
        """The arrays as C."""
        for array in self.arrays:
            kind = "int8_t" if array.scales is not None else c_type(array.values.dtype)
            yield from array_lines(array.name, kind, array.values)
            if array.scales is not None:
                yield from array_lines(f"{array.name}_scale", "float", array.scales)

    def _store(self, tensor: Tensor, scaled: int | None, precision: str) -> Stored:
        name = f"w{len(self.arrays)}"
        values, scales = tensor.detach(), None
        if scaled is not None and precision == "int8":
            rows = values if scaled == 1 else values.T
            scales = (rows.abs().amax(0) / 127).clamp(min=1e-30)
            whole = (rows / scales).round().clamp(-127, 127)
            rows.copy_(whole * scales)  # rounds the graph's own
            values = whole.to(torch.int8)
        transposed = scaled == 0 and scales is not None
        self.arrays.append(Stored(name, values.contiguous(), scales, transposed))
        return self.arrays[-1]


def _whole(stored: Stored) -> View:
    """The view of the constant that was stored."""
    kind = "int8_t" if stored.scales is not None else c_type(stored.values.dtype)
    view = contiguous(stored.name, kind, tuple(stored.values.shape))
    if stored.scales is not None:
        view = view._replace(scale=f"{stored.name}_scale", scaled=1)
    return view.permuted((1, 0)) if stored.transposed else view


def _shared(tensor: Tensor, first: Tensor, stored: Stored) -> View | None:
    """The view of a constant that is another one, or its transpose."""
    same = tensor.storage_offset() == first.storage_offset()
    if not same or tensor.numel() != first.numel() or tensor.dim() != 2:
        return None
    view = _whole(stored)
    if tensor.shape == first.shape and tensor.stride() == first.stride():
        return view
    if tensor.T.shape == first.shape and tensor.T.stride() == first.stride():
        return view.permuted((1, 0))
    return None


def _constants(module: fx.GraphModule) -> list[str]:
    names = [str(node.target) for node in module.graph.nodes if node.op == "get_attr"]
    return list(dict.fromkeys(names))


def matrix_constants(module: fx.GraphModule) -> dict[str, int]:
    """Constants that products and look-ups alone read -> the axis of the rows that share a factor:
    1 of a product's right side, 0 of a table."""
    found: dict[str, int] = {}
    for node in module.graph.nodes:
        if node.op != "get_attr":
            continue
        axes = {_matrix_axis(user, node) for user in node.users}
        if len(axes) == 1 and None not in axes and getattr(module, str(node.target)).dim() == 2:
            found[str(node.target)] = axes.pop() or 0
    products = {name: 1 for name, axis in found.items() if axis == 1}
    return {**products, **{name: axis for name, axis in found.items() if axis == 0}}


def _matrix_axis(user: fx.Node, node: fx.Node) -> int | None:
    if user.target is aten.mm.default and user.args[1] is node and user.args[0] is not node:
        return 1
    if user.target is aten.addmm.default and user.args[2] is node and node not in user.args[:2]:
        return 1
    return 0 if user.target is aten.embedding.default and user.args[0] is node else None


def array_lines(name: str, kind: str, values: Tensor) -> Iterator[str]:
    """A constant array of C."""
    numbers = values.flatten().tolist()
    if kind == "int8_t":
        texts = [str(int(number)) for number in numbers]
    else:
        texts = [literal(number, values.dtype) for number in numbers]
    yield f"static const {kind} {name}[{len(texts)}] = {{"
    for start in range(0, len(texts), _PER_LINE):
        yield "    " + ", ".join(texts[start : start + _PER_LINE]) + ","
    yield "};"
