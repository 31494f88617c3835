"""The instructions of one step for the interpreter of a page, from the graph with every size known.

The walk over the graph, its views and its constants are those of C (c/program.py, c/views.py). What
is written is no text: each operator becomes a few instructions over strided views, and the page
has one loop an instruction:

    each     out = f(a, b, c), number by number
    product  out [G, M, N] = a [G, M, K] b [G, K, N]
    reduce   out = sum, mean, max or norm of x over axes
    softmax, running (sum or max so far), normalise (to mean 0 and variance 1), largest (top-k)
    move     out = x, where indices say which element of x (take) or of out (put)

An instruction is [kind, function, shape, *operands]. An operand is [buffer, offset, strides]; its
strides are along `shape`, so that a broadcast is a stride of 0.

Nothing here knows an architecture: a new mixer runs in the page as soon as its operators do.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx

from seqarena.core.errors import UserError
from seqarena.models.export.c.program import CONSTANT, CProgram
from seqarena.models.export.c.views import View, broadcast, contiguous, merged
from seqarena.models.export.c.weights import ConstantArrays
from seqarena.models.export.graph import StepGraph
from seqarena.models.export.js.operators import EACH, RULES, each_name, looked_up

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
Instruction = list[Any]
SCALARS = "scalars"  # the buffer of the numbers that are written in the graph


class JSProgram(CProgram):
    """Reads the graph node by node; afterwards `instructions`, `buffers`, `scalars` are there."""

    def __init__(self, step: StepGraph, weights: ConstantArrays) -> None:
        self.instructions: list[Instruction] = []
        self.scalars: dict[float, int] = {}  # number -> its place
        super().__init__(step, weights)

    def _write(self, target: Any, outputs: list[Any], arguments: Any, options: Any) -> None:
        if target in EACH or target is aten.gelu.default:
            self.each(each_name(target, arguments, options), outputs[0], arguments)
        elif target is aten._to_copy.default:
            self.each("copy", outputs[0], arguments)
        elif target in CONSTANT:
            self.each("copy", outputs[0], [arguments[CONSTANT[target]]])
        elif (rule := RULES.get(target)) is not None:
            rule(self, outputs if len(outputs) > 1 else outputs[0], *arguments, **options)
        else:
            raise UserError(f"the operator {target} does not run in a page")

    def each(self, name: str, out: View, operands: Sequence[Any]) -> None:
        """out = name(operands), number by number. Operands are views, numbers, or None."""
        views = [self._operand(x, out.shape) for x in operands if x is not None]
        shape, placed = merged([out, *views])
        self._add("each", name, shape, placed)

    def take(self, out: View, source: View, found: Sequence[tuple[View, int]]) -> None:
        """out[i] = source[i + the sum of index[i] * factor], over the shape of `out`. `source` has
        its strides along that shape; `found`: each index, of that shape, and its factor."""
        self._moved("take", out.shape, out, source, found)

    def put(self, out: View, source: View, found: Sequence[tuple[View, int]]) -> None:
        """out[i + the sum of index[i] * factor] = source[i], over the shape of `source`."""
        self._moved("put", source.shape, out, source, found)

    def scatter(self, out: View, axis: int, index: View, source: View) -> None:
        """out[..., index, ...] = source, along one axis."""
        place, found = looked_up(out, axis, index)
        self.put(place, source, found)

    def copy(self, out: View, source: View) -> None:
        """out = source"""
        self.each("copy", out, [source])

    def product(self, out: View, a: View, b: View) -> None:
        """out [G, M, N] = a [G, M, K] b [G, K, N]; the shape is (G, M, N, K)."""
        (G, M, K), N = a.shape, b.shape[2]
        along = [
            out._replace(strides=(*out.strides, 0)),
            a._replace(strides=(a.strides[0], a.strides[1], 0, a.strides[2])),
            b._replace(strides=(b.strides[0], 0, b.strides[2], b.strides[1])),
        ]
        self._add("product", "", (G, M, N, K), along)

    def inner(
        self, kind: str, name: str, axes: Sequence[int], views: Sequence[View], *more: Any
    ) -> None:
        """An instruction that goes over `axes` for each index of the others: the shape is that of
        the others and of `axes`, which `split` tells apart."""
        rank = len(views[0].shape)
        order = [i for i in range(rank) if i not in axes] + list(axes)
        split = rank - len(axes)
        shape = tuple(views[0].shape[i] for i in order)
        turned = [view._replace(strides=tuple(view.strides[i] for i in order)) for view in views]
        self._add(kind, name, shape, turned, split, *more)

    @property
    def buffers(self) -> dict[str, tuple[str, int]]:
        """name -> (float or int32_t, elements) of what no constant and no state holds."""
        return self._buffers

    def value(self, node: fx.Node) -> View:
        """Where the numbers of a node are after a step."""
        return cast("View", self._values[node])

    def _moved(
        self, name: str, shape: Any, out: View, source: View, found: Sequence[tuple[View, int]]
    ) -> None:
        indices = [broadcast(view, shape) for view, _ in found]
        self._add("move", name, shape, [out, source, *indices], [factor for _, factor in found])

    def _operand(self, value: Any, shape: tuple[int, ...]) -> View:
        if isinstance(value, View):
            return broadcast(value, shape)
        number = float(value)
        place = self.scalars.setdefault(number, len(self.scalars))
        return View(SCALARS, "float", shape, (0,) * len(shape), place)

    def _add(self, kind: str, name: str, shape: Any, views: Sequence[View], *more: Any) -> None:
        shape, flat = (shape, False) if shape else ((1,), True)
        operands = [[v.buffer, v.offset, [0] if flat else list(v.strides)] for v in views]
        self.instructions.append([kind, name, list(shape), operands, *more])

    def _given(self, node: fx.Node) -> View:
        if node.name == "input":
            example = cast("Tensor", self._examples[node])
            return contiguous("input", "int32_t", tuple(example.shape))
        return super()._given(node)
