"""The statements of one step in C, from its graph with every size known.

A value is a view: a buffer, a shape and strides, so that slices, transposes and broadcasts cost
nothing. Each other operator writes a buffer of its own. Buffers live in two blocks of scratch, one
of float and one of int32_t; two that are never needed at the same time share their place.

Nothing here knows an architecture: a new mixer has C as soon as its operators do.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate

from seqarena.core.errors import UserError
from seqarena.models.export.c import loops
from seqarena.models.export.c.operators import ELEMENTWISE, c_type, check_elementwise, gelu, literal
from seqarena.models.export.c.views import View, contiguous, elementwise
from seqarena.models.export.c.weights import ConstantArrays
from seqarena.models.export.graph import StepGraph, recorded

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten


class Scratch(NamedTuple):
    """The buffers of one type: how many elements they need together, and where each begins."""

    elements: int
    offsets: dict[str, int]


class CProgram:
    """Reads the graph node by node; afterwards `statements`, `weights` and `scratch` are there."""

    def __init__(self, step: StepGraph, weights: ConstantArrays) -> None:
        self.step = step
        self.weights = weights
        self.statements: list[str] = []
        self._buffers: dict[str, tuple[str, int]] = {}  # name -> (type, elements)
        self._uses: dict[str, list[int]] = {}
        self._values: dict[fx.Node, Any] = {}
        self._examples = recorded(step, rows=1, room=step.room or 1)
        for node in step.module.graph.nodes:
            self._visit(node)

    def scratch(self, kind: str) -> Scratch:
        """First fit: a buffer takes the first place that is free for as long as it lives."""
        placed: list[tuple[int, int, int, int]] = []  # (begin, end, first use, last use)
        offsets = {}
        for name, (own, size) in self._buffers.items():
            if own != kind or name not in self._uses:
                continue
            first, last = self._uses[name][0], self._uses[name][-1]
            begin = 0
            for start, end, since, until in sorted(placed):
                if since <= last and first <= until and start < begin + size and begin < end:
                    begin = end
            placed.append((begin, begin + size, first, last))
            offsets[name] = begin
        return Scratch(max((end for _, end, _, _ in placed), default=0), offsets)

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._values[node] = self._given(node)
        elif node.op == "get_attr":
            self._values[node] = self.weights.view(str(node.target))
        elif node.op == "output":
            self._finish(cast("Any", node.args[0]))
        else:
            arguments = map_aggregate(node.args, self._value)
            options = map_aggregate(node.kwargs, self._value)
            self._values[node] = self._call(node, cast("Any", arguments), cast("Any", options))

    def _value(self, argument: Any) -> Any:
        return self._values[argument] if isinstance(argument, fx.Node) else argument

    def _given(self, node: fx.Node) -> View:
        example = self._examples[node]
        if node.name != "input":
            return contiguous(f"state->{node.name}", c_type(example.dtype), tuple(example.shape))
        scalar = example.dim() == 1
        return View("(&token)" if scalar else "features", c_type(example.dtype),
                    tuple(example.shape), (1,) * example.dim() if scalar else (0, 1))  # fmt: skip

    def _new(self, like: Tensor) -> View:
        name = f"@{len(self._buffers)}@"
        self._buffers[name] = (c_type(like.dtype), max(1, like.numel()))
        return contiguous(name, c_type(like.dtype), tuple(like.shape))

    def _say(self, text: str) -> None:
        """One statement, maybe over several lines; what it names is in use here."""
        place = len(self.statements)
        parts = text.split("@")
        for number in parts[1::2]:
            self._uses.setdefault(f"@{number}@", []).append(place)
        self.statements.append(text)

    def _call(self, node: fx.Node, arguments: Any, options: Any) -> Any:
        target = node.target
        if target is operator.getitem:
            return arguments[0][arguments[1]]
        if target in VIEWS:
            return VIEWS[target](*arguments, **options)
        example = self._examples[node]
        if target is aten.reshape.default:
            return self._reshaped(arguments[0], tuple(example.shape))
        if target is aten.scatter.src and (state := self._state_written(node)) is not None:
            self.scatter(state, *arguments[1:])
            return state
        several = isinstance(example, tuple | list)
        outputs = [None if x is None else self._new(x) for x in (example if several else [example])]
        self._write(target, outputs, arguments, options)
        return outputs if several else outputs[0]

    def _write(self, target: Any, outputs: list[Any], arguments: Any, options: Any) -> None:
        """Writes what an operator gives into its buffers."""
        self._say(self._computed(target, outputs, arguments, options))

    def scatter(self, out: View, axis: int, index: View, source: View) -> None:
        """out[..., index, ...] = source, along one axis."""
        self._say(loops.scattered(out, axis, index, source))

    def copy(self, out: View, source: View) -> None:
        """out = source"""
        self._say(elementwise(out, [source], lambda x: x))

    def blank(self, like: View) -> View:
        """A new buffer of the shape and type of a view."""
        name = f"@{len(self._buffers)}@"
        self._buffers[name] = (like.kind, max(1, math.prod(like.shape)))
        return contiguous(name, like.kind, like.shape)

    def _computed(self, target: Any, outputs: list[Any], arguments: Any, options: Any) -> str:
        if target in ELEMENTWISE:
            check_elementwise(target, arguments)
            arguments = [*arguments, *([options["alpha"]] if "alpha" in options else [])]
            return self._each(outputs[0], arguments, ELEMENTWISE[target], target)
        if target is aten.gelu.default:
            way = options.get("approximate", "none")
            return self._each(outputs[0], arguments, lambda x: gelu(x, way), target)
        if target is aten._to_copy.default:
            kind = outputs[0].kind
            return self._each(outputs[0], arguments, lambda x: f"({kind})({x})", target)
        if target in CONSTANT:
            value = arguments[CONSTANT[target]]
            return self._each(outputs[0], [value], lambda x: x, target)
        rule = loops.RULES.get(target)
        if rule is None:
            raise UserError(f"the operator {target} has no C here")
        return rule(outputs if len(outputs) > 1 else outputs[0], *arguments, **options)

    def _each(self, out: View, arguments: Sequence[Any], form: Any, target: Any) -> str:
        kinds = {x.kind for x in arguments if isinstance(x, View)}
        floats = "float" in kinds or any(isinstance(x, float) for x in arguments)
        if target in (aten.div.Tensor, aten.pow.Scalar):
            floats = True
        number = torch.float32 if floats or (not kinds and out.kind == "float") else torch.int64
        operands = [
            x if isinstance(x, View) or x is None else literal(x, number) for x in arguments
        ]
        if target is aten.where.self and out.kind == "float":
            operands[1:] = [
                x if isinstance(x, View) else literal(y, torch.float32)
                for x, y in zip(operands[1:], arguments[1:])
            ]
        if target is aten.div.Tensor and "float" not in kinds:
            return elementwise(out, operands, lambda a, b: f"((float){a} / (float){b})")
        return elementwise(out, operands, form)

    def _reshaped(self, view: View, shape: tuple[int, ...]) -> View:
        found = view.reshaped(shape)
        if found is not None:
            return found
        copied = self._copied(view)
        return contiguous(copied.buffer, copied.kind, shape)

    def _copied(self, view: View) -> View:
        out = self.blank(view)
        self.copy(out, view)
        return out

    def _state_written(self, node: fx.Node) -> View | None:
        """The state that a scatter writes one position of, where it can be written in place: what
        is scattered into is the state itself with its last position cut off and an empty one put
        there, nothing else reads it, and the result is the next state."""
        padded = cast("fx.Node", node.args[0])
        if padded.target is not aten.constant_pad_nd.default:
            return None
        cut = cast("fx.Node", padded.args[0])
        while cut.target is aten.slice.Tensor:
            cut = cast("fx.Node", cut.args[0])
        if cut.op != "placeholder":
            return None
        inner = [user for user in cut.users if user.target is not aten.slice.Tensor]
        results: Any = next(n for n in self.step.module.graph.nodes if n.op == "output").args[0]
        names = [state.name for state in self.step.states]
        return_place = 1 + names.index(cut.name)
        if inner or results[return_place] is not node:
            return None
        return self._values[cut]

    def _finish(self, results: Sequence[fx.Node]) -> None:
        """Writes the logits and the next state. What is still a view of the old one is copied
        first."""
        logits, *after = (self._values[node] for node in results)
        targets = [self._given(node) for node in self._state_nodes()]
        pairs = []
        for value, target in zip(after, targets, strict=True):
            if value == target:
                continue  # written in place, or as it was
            if value.buffer.startswith("state->"):
                value = self._copied(value)
            pairs.append((target, value))
        out = contiguous("logits", "float", logits.shape)
        for target, value in ((out, logits), *pairs):
            self.copy(target, value)

    def _state_nodes(self) -> Iterable[fx.Node]:
        nodes = self.step.module.graph.nodes
        return [n for n in nodes if n.op == "placeholder" and n.name != "input"]


CONSTANT = {aten.full.default: 1, aten.full_like.default: 1, aten.scalar_tensor.default: 0}


def _select(x: View, dim: int, index: int) -> View:
    dim %= len(x.shape)
    return x.narrowed(dim, index % x.shape[dim], 1).without(dim)


def _slice(x: View, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> View:
    dim %= len(x.shape)
    begin, finish, stride = slice(start, end, step).indices(x.shape[dim])
    return x.narrowed(dim, begin, max(0, -(-(finish - begin) // stride)), stride)


def _split(x: View, sizes: Sequence[int], dim: int = 0) -> list[View]:
    dim %= len(x.shape)
    begins = [sum(sizes[:i]) for i in range(len(sizes))]
    return [x.narrowed(dim, begin, size) for begin, size in zip(begins, sizes)]


def _squeeze(x: View, dims: Sequence[int]) -> View:
    for dim in sorted((d % len(x.shape) for d in dims), reverse=True):
        if x.shape[dim] == 1:
            x = x.without(dim)
    return x


VIEWS: dict[Any, Any] = {
    aten.permute.default: lambda x, dims: x.permuted(dims),
    aten.unsqueeze.default: lambda x, dim: x.unsqueezed(dim),
    aten.squeeze.dims: _squeeze,
    aten.expand.default: lambda x, shape, **_: x.expanded(shape),
    aten.select.int: _select,
    aten.slice.Tensor: _slice,
    aten.split_with_sizes.default: _split,
}
