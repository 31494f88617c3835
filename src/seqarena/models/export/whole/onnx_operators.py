"""ATen operators that a step does not have and a whole input has, as nodes of ONNX (opset 20)."""

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from seqarena.core.errors import UserError
from seqarena.models.export.onnx_operators import RULES, Rule, Value

if TYPE_CHECKING:
    from seqarena.models.export.onnx_graph import OnnxGraph

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten


def _size(g: "OnnxGraph", x: Value, dim: int) -> str:
    """[1], how long an axis is when the graph runs."""
    dim %= x.like.dim()
    return g.node("Shape", [x.name], start=dim, end=dim + 1)


def _sort(
    g: "OnnxGraph", out: Any, x: Value, stable: bool = True, dim: int = -1, descending: bool = False
) -> list[str]:
    """Of whole numbers, equal ones in their order: by x T + t over T positions."""
    if x.like.is_floating_point():
        raise UserError("sorting real numbers has no rule here")
    count = _size(g, x, dim)
    sign = -1 if descending else 1
    last = dim % x.like.dim() == x.like.dim() - 1
    if not last:
        raise UserError("sorting along another axis than the last has no rule here")
    number = g.node("Mul", [g.number(x, torch.int64), g.constant(sign, torch.int64)])
    ends = [g.constant(0, torch.int64), g.node("Squeeze", [count]), g.constant(1, torch.int64)]
    key = g.node("Add", [g.node("Mul", [number, count]), g.node("Range", ends)])
    _, order = g.nodes("TopK", [key, count], 2, axis=dim, largest=0)
    return [g.node("GatherElements", [x.name, order], axis=dim), order]


def _argmax(g: "OnnxGraph", out: Any, x: Value, dim: int, keepdim: bool = False) -> str:
    return g.node("ArgMax", [x.name], axis=dim, keepdims=int(keepdim))


def _scatter_value(g: "OnnxGraph", out: Any, x: Value, dim: int, index: Value, value: Any) -> str:
    filled = g.node("Expand", [g.number(value, out.dtype), g.node("Shape", [index.name])])
    return g.node("ScatterElements", [x.name, index.name, filled], axis=dim)


def _scatter_add(g: "OnnxGraph", out: Any, x: Value, dim: int, index: Value, source: Value) -> str:
    inputs = [x.name, index.name, source.name]
    return g.node("ScatterElements", inputs, axis=dim, reduction="add")


def _index(g: "OnnxGraph", out: Any, x: Value, indices: Sequence[Any]) -> str:
    """By one index, by the first axes, all of which have one, or as a step has it."""
    axes = [i for i, index in enumerate(indices) if index is not None]
    if len(axes) == 1 or axes != list(range(len(axes))):
        return RULES[aten.index.Tensor](g, out, x, indices)
    return g.node("GatherND", [x.name, _points(g, indices)])


def _points(g: "OnnxGraph", indices: Sequence[Value]) -> str:
    """The indices of the first axes, side by side."""
    shape = g.node("Shape", [indices[0].name])
    for index in indices[1:]:
        shape = g.node("Shape", [g.node("Expand", [index.name, shape])])
    parts = [g.node("Expand", [index.name, shape]) for index in indices]
    return g.node("Concat", [g.node("Unsqueeze", [x, g.sizes([-1])]) for x in parts], axis=-1)


def _index_put(
    g: "OnnxGraph", out: Any, x: Value, indices: Sequence[Any], values: Value,
    accumulate: bool = False,
) -> str:  # fmt: skip
    if any(index is None for index in indices):
        raise UserError("these indices have no rule here")
    reduction = "add" if accumulate else "none"
    inputs = [x.name, _points(g, indices), values.name]
    return g.node("ScatterND", inputs, reduction=reduction)


def _convolution(
    g: "OnnxGraph", out: Any, x: Value, weight: Value, bias: Any, stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], transposed: bool, _: Any, groups: int,
) -> str:  # fmt: skip
    if transposed:
        raise UserError("a transposed convolution has no rule here")
    inputs = [x.name, weight.name, *([] if bias is None else [bias.name])]
    return g.node("Conv", inputs, strides=list(stride), pads=[*padding, *padding],
                  dilations=list(dilation), group=groups)  # fmt: skip


def _average_pool(
    g: "OnnxGraph", out: Any, x: Value, kernel: Sequence[int], stride: Any = (),
    padding: Any = (0,), ceil: bool = False, include: bool = True, divisor: Any = None,
) -> str:  # fmt: skip
    if ceil or divisor is not None or any(padding):
        raise UserError("this average over squares has no rule here")
    return g.node(
        "AveragePool", [x.name], kernel_shape=list(kernel), strides=list(stride or kernel)
    )


def _flip(g: "OnnxGraph", out: Any, x: Value, dims: Sequence[int]) -> str:
    count = len(dims)
    ends = [[-1] * count, [-(2**62)] * count, list(dims), [-1] * count]
    return g.node("Slice", [x.name, *(g.sizes(each) for each in ends)])


def _power(g: "OnnxGraph", out: Any, a: Any, b: Any) -> str:
    return g.node("Pow", [g.number(a, out.dtype), g.number(b, out.dtype)])


def _hardtanh(g: "OnnxGraph", out: Any, x: Value, low: float = -1.0, high: float = 1.0) -> str:
    return g.node("Clip", [x.name, g.constant(low, out.dtype), g.constant(high, out.dtype)])


def _any(g: "OnnxGraph", out: Any, x: Value, dim: int, keepdim: bool = False) -> str:
    ones = g.cast(x.name, torch.bool, torch.int32)  # no reduction takes truth values
    most = g.node("ReduceMax", [ones, g.sizes([dim])], keepdims=int(keepdim))
    return g.cast(most, torch.int32, torch.bool)


def _whole_part(g: "OnnxGraph", out: Any, a: Any, b: Any) -> str:
    """Of sizes, which are not negative."""
    return g.node("Div", [g.sizes([a]), g.sizes([b])])


def _repeat(g: "OnnxGraph", out: Any, x: Value, counts: Sequence[Any]) -> str:
    return g.node("Tile", [x.name, g.sizes(counts)])


MORE_RULES: dict[Any, Rule] = {
    **RULES,
    operator.floordiv: _whole_part,
    aten.sort.stable: _sort, aten.argmax.default: _argmax, aten.scatter.value: _scatter_value,
    aten.scatter_add.default: _scatter_add, aten.index.Tensor: _index,
    aten.index_put.default: _index_put, aten.convolution.default: _convolution,
    aten.avg_pool2d.default: _average_pool, aten.flip.default: _flip,
    aten.mul.Scalar: RULES[aten.mul.Tensor], aten.hardtanh.default: _hardtanh,
    aten.any.dim: _any, aten.pow.Tensor_Tensor: _power, aten.repeat.default: _repeat,
}  # fmt: skip
