"""Operators as instructions (program.py): the name of a function where they work number by number,
a rule for the others."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch

from seqarena.core.errors import UserError
from seqarena.models.export.c.operators import check_elementwise
from seqarena.models.export.c.views import View, broadcast

if TYPE_CHECKING:
    from seqarena.models.export.js.program import JSProgram

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten

# an operator -> its function in report/page/js/live-machine.js
EACH: dict[Any, str] = {
    aten.neg.default: "neg",
    aten.abs.default: "abs",
    aten.exp.default: "exp",
    aten.log.default: "log",
    aten.log1p.default: "log1p",
    aten.expm1.default: "expm1",
    aten.sigmoid.default: "sigmoid",
    aten.tanh.default: "tanh",
    aten.relu.default: "relu",
    aten.elu.default: "elu",
    aten.sqrt.default: "sqrt",
    aten.rsqrt.default: "rsqrt",
    aten.reciprocal.default: "reciprocal",
    aten.sin.default: "sin",
    aten.cos.default: "cos",
    aten.atan2.default: "atan2",
    aten.round.default: "round",
    aten.pow.Scalar: "pow",
    aten.pow.Tensor_Scalar: "pow",
    aten.pow.Tensor_Tensor: "pow",
    aten.remainder.Scalar: "remainder",
    aten.minimum.default: "minimum",
    aten.maximum.default: "maximum",
    aten.clamp.default: "clamp",
    aten.where.self: "where",
    aten.bitwise_and.Tensor: "and",
    aten.bitwise_or.Tensor: "or",
    aten.bitwise_not.default: "not",  # of truth values
    aten.logical_and.default: "both",
    aten.logical_or.default: "either",
    aten.logical_not.default: "not",
    aten.div.Tensor_mode: "div",  # of whole numbers that are not negative
}
for _name in ("add", "sub", "mul", "div"):
    EACH[getattr(aten, _name).Tensor] = _name
    EACH[getattr(aten, _name).Scalar] = _name
for _name in ("ge", "gt", "le", "lt", "eq", "ne"):
    EACH[getattr(aten, _name).Tensor] = _name
    EACH[getattr(aten, _name).Scalar] = _name


def each_name(target: Any, arguments: Any, options: Any) -> str:
    """The function of an operator that works number by number. Raises UserError for an argument
    that it leaves out."""
    if target is aten.gelu.default:
        return "gelu_tanh" if options.get("approximate") == "tanh" else "gelu"
    check_elementwise(target, arguments)
    if options.get("alpha", 1) != 1:
        raise UserError(f"{target} with a factor does not run in a page")
    if target is aten.clamp.default:
        low, high = (*arguments[1:], None)[:2]
        return "clamp" if None not in (low, high) else "maximum" if high is None else "minimum"
    return EACH[target]


def looked_up(view: View, axis: int, index: View) -> tuple[View, list[tuple[View, int]]]:
    """A view along the axes of `index`, which says where on one axis each element is."""
    axis %= len(view.shape)
    strides = tuple(0 if i == axis else s for i, s in enumerate(view.strides))
    free = view._replace(shape=index.shape, strides=strides)
    return free, [(index, view.strides[axis])]


def _product(to: "JSProgram", out: View, a: View, b: View) -> None:
    to.product(*(view.unsqueezed(0) for view in (out, a, b)))


def _bias_product(
    to: "JSProgram", out: View, bias: View, a: View, b: View, **options: Any
) -> None:  # fmt: skip
    if any(value != 1 for value in options.values()):
        raise UserError("addmm with factors does not run in a page")
    _product(to, out, a, b)
    to.each("add", out, [out, bias])


def _reduction(name: str) -> Callable[..., None]:
    def rule(
        to: "JSProgram", out: View, x: View, dims: Any = None, keepdim: bool = False, **_: Any
    ) -> None:  # fmt: skip
        axes = _axes(dims, len(x.shape))
        to.inner("reduce", name, axes, [x, _along(out, x, axes, keepdim)])

    return rule


def _along(out: View, x: View, axes: Sequence[int], keepdim: bool) -> View:
    """The result of a reduction with the axes of what was reduced."""
    strides = list(out.strides)
    for axis in axes:
        if keepdim:
            strides[axis] = 0
        else:
            strides.insert(axis, 0)
    return out._replace(shape=x.shape, strides=tuple(strides))


def _axes(dims: Any, count: int) -> list[int]:
    if dims is None or (isinstance(dims, list | tuple) and not dims):
        return list(range(count))
    return sorted(d % count for d in ([dims] if isinstance(dims, int) else dims))


def _norm(
    to: "JSProgram", out: View, x: View, order: Any = 2, dims: Any = None,
    keepdim: bool = False, **_: Any,
) -> None:  # fmt: skip
    if order != 2:
        raise UserError(f"the norm of order {order} does not run in a page")
    _reduction("norm")(to, out, x, dims, keepdim)


def _softmax(to: "JSProgram", out: View, x: View, dim: int, _half: bool) -> None:
    to.inner("softmax", "", [dim % len(x.shape)], [x, out])


def _running(name: str) -> Callable[..., None]:
    def rule(to: "JSProgram", out: Any, x: View, dim: int, **_: Any) -> None:
        out = out[0] if isinstance(out, list) else out
        to.inner("running", name, [dim % len(x.shape)], [x, out])

    return rule


def _layer_norm(
    to: "JSProgram", outs: list[Any], x: View, shape: Any, weight: Any, bias: Any, eps: float
) -> None:  # fmt: skip
    axes = list(range(len(x.shape) - len(shape), len(x.shape)))
    to.inner("normalise", "", axes, [x, outs[0]], eps)
    _scaled(to, outs[0], weight, bias)


def _group_norm(
    to: "JSProgram", outs: list[Any], x: View, weight: Any, bias: Any,
    N: int, C: int, size: int, G: int, eps: float,
) -> None:  # fmt: skip
    grouped, result = (view.reshaped((N, G, C // G, size)) for view in (x, outs[0]))
    if grouped is None or result is None:
        raise UserError("a group norm of a transposed view does not run in a page")
    to.inner("normalise", "", [2, 3], [grouped, result], eps)
    shaped = (None if view is None else view.reshaped((G, C // G, 1)) for view in (weight, bias))
    _scaled(to, result, *shaped)


def _scaled(to: "JSProgram", out: View, weight: View | None, bias: View | None) -> None:
    for name, factor in (("mul", weight), ("add", bias)):
        if factor is not None:
            to.each(name, out, [out, factor])


def _gathered(to: "JSProgram", out: View, x: View, dim: int, index: View, **_: Any) -> None:
    to.take(out, *looked_up(x, dim, index))


def _scatter(to: "JSProgram", out: View, x: View, dim: int, index: View, source: Any) -> None:
    to.each("copy", out, [x])
    to.scatter(out, dim, index, source)


def _embedding(to: "JSProgram", out: View, table: View, index: View, *_: Any, **__: Any) -> None:
    strides = (*(0,) * len(index.shape), table.strides[1])
    row = table._replace(shape=out.shape, strides=strides)
    to.take(out, row, [(index.unsqueezed(-1), table.strides[0])])


def _index(to: "JSProgram", out: View, x: View, indices: Sequence[Any]) -> None:
    """x[:, i, j]: indices of neighbouring axes, at their place."""
    axes = [i for i, index in enumerate(indices) if index is not None]
    if axes != list(range(axes[0], axes[0] + len(axes))):
        raise UserError("indices of axes that lie apart do not run in a page")
    after = len(x.shape) - axes[-1] - 1
    shared = out.shape[axes[0] : len(out.shape) - after]
    found = []
    for axis in axes:  # an index has the axes of `out`; beyond its own it repeats
        view = broadcast(cast("View", indices[axis]), shared)
        for _ in range(after):
            view = view.unsqueezed(-1)
        found.append((view, x.strides[axis]))
    kept = (*x.strides[: axes[0]], *(0,) * len(shared), *x.strides[axes[-1] + 1 :])
    to.take(out, x._replace(shape=out.shape, strides=kept), found)


def _index_select(to: "JSProgram", out: View, x: View, dim: int, index: View) -> None:
    dim %= len(x.shape)
    for _ in range(len(out.shape) - dim - 1):
        index = index.unsqueezed(-1)
    to.take(out, *looked_up(x, dim, broadcast(index, out.shape)))


def _joined(to: "JSProgram", out: View, parts: Sequence[View], dim: int = 0) -> None:
    dim %= len(out.shape)
    begin = 0
    for part in parts:
        if 0 not in part.shape:
            to.each("copy", out.narrowed(dim, begin, part.shape[dim]), [part])
            begin += part.shape[dim]


def _padded(to: "JSProgram", out: View, x: View, pads: Sequence[int], value: float = 0.0) -> None:
    inner = out
    for i in range(len(pads) // 2):
        dim = len(out.shape) - 1 - i
        before, after = pads[2 * i], pads[2 * i + 1]
        if before < 0 or after < 0:
            raise UserError("padding that cuts does not run in a page")
        inner = inner.narrowed(dim, before, out.shape[dim] - before - after)
    to.each("copy", out, [value])
    if 0 not in x.shape:
        to.each("copy", inner, [x])


def _largest(to: "JSProgram", outs: list[Any], x: View, count: int, dim: int = -1, *_: Any) -> None:
    if dim % len(x.shape) != len(x.shape) - 1:
        raise UserError("topk of an inner axis does not run in a page")
    values, places = (view._replace(shape=x.shape) for view in outs)
    to.inner("largest", "", [len(x.shape) - 1], [x, values, places], count)


def _flipped(to: "JSProgram", out: View, x: View, dims: Sequence[int]) -> None:
    for axis in _axes(dims, len(x.shape)):
        last = x.offset + (x.shape[axis] - 1) * x.strides[axis]
        strides = tuple(-s if i == axis else s for i, s in enumerate(x.strides))
        x = x._replace(offset=last, strides=strides)
    to.each("copy", out, [x])


RULES: dict[Any, Callable[..., None]] = {
    aten.mm.default: _product,
    aten.addmm.default: _bias_product,
    aten.bmm.default: lambda to, out, a, b: to.product(out, a, b),
    aten.sum.dim_IntList: _reduction("sum"),
    aten.mean.dim: _reduction("mean"),
    aten.amax.default: _reduction("max"),
    aten.linalg_vector_norm.default: _norm,
    aten._softmax.default: _softmax,
    aten.cumsum.default: _running("sum"),
    aten.cummax.default: _running("max"),
    aten.native_layer_norm.default: _layer_norm,
    aten.native_group_norm.default: _group_norm,
    aten.gather.default: _gathered,
    aten.scatter.src: _scatter,
    aten.embedding.default: _embedding,
    aten.index.Tensor: _index,
    aten.index_select.default: _index_select,
    aten.cat.default: _joined,
    aten.constant_pad_nd.default: _padded,
    aten.topk.default: _largest,
    aten.flip.default: _flipped,
}
