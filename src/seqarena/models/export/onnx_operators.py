"""ATen operators as nodes of ONNX (opset 20): one rule each.

A rule gets the graph that is being written (onnx_graph.py) and the operator's arguments: `Value`,
which names a tensor, `Size`, which names an int64 tensor [1] that holds a size, or plain numbers.
"""

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from seqarena.core.errors import UserError

if TYPE_CHECKING:
    from seqarena.models.export.onnx_graph import OnnxGraph

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
Rule = Callable[..., Any]


class Value(NamedTuple):
    """A tensor by its name; `like` has its type and, but for sizes that are free, its shape."""

    name: str
    like: torch.Tensor


class Size(NamedTuple):
    """A size that is known only when the graph runs: an int64 tensor [1]."""

    name: str
    like: int


def _plain(kind: str, **attributes: Any) -> Rule:
    """One node over the tensors as they are."""
    return lambda g, out, *x, **_: g.node(kind, [one.name for one in x], **attributes)


def _promoted(kind: str) -> Rule:
    """One node over two operands of the result's type, with `alpha` times the second."""

    def rule(g: "OnnxGraph", out: Any, a: Any, b: Any, alpha: Any = 1, **_: Any) -> str:
        second = g.number(b, out.dtype)
        if out.dtype == torch.bool:  # a product of truth values, as torch reads it
            return g.node({"Mul": "And", "Add": "Or"}[kind], [g.number(a, out.dtype), second])
        if alpha != 1:
            second = g.node("Mul", [second, g.constant(alpha, out.dtype)])
        return g.node(kind, [g.number(a, out.dtype), second])

    return rule


def _compared(kind: str, negated: bool = False) -> Rule:
    def rule(g: "OnnxGraph", out: Any, a: Any, b: Any) -> str:
        dtype = torch.result_type(g.like(a), g.like(b))
        found = g.node(kind, [g.number(a, dtype), g.number(b, dtype)])
        return g.node("Not", [found]) if negated else found

    return rule


def _sizes(kind: str) -> Rule:
    def rule(g: "OnnxGraph", out: Any, a: Any, b: Any) -> str:
        return g.node(kind, [g.sizes([a]), g.sizes([b])])

    return rule


def _log1p(g: "OnnxGraph", out: Any, x: Value) -> str:
    return g.node("Log", [g.node("Add", [x.name, g.constant(1.0, out.dtype)])])


def _expm1(g: "OnnxGraph", out: Any, x: Value) -> str:
    """tanh(x / 2) (exp(x) + 1): exact near zero, where exp(x) - 1 cancels."""
    half = g.node("Tanh", [g.node("Mul", [x.name, g.constant(0.5, out.dtype)])])
    more = g.node("Add", [g.node("Exp", [x.name]), g.constant(1.0, out.dtype)])
    return g.node("Mul", [half, more])


def _rsqrt(g: "OnnxGraph", out: Any, x: Value) -> str:
    return g.node("Reciprocal", [g.node("Sqrt", [x.name])])


def _elu(g: "OnnxGraph", out: Any, x: Value, alpha: float = 1.0, scale: Any = 1, scaled: Any = 1):
    if scale != 1 or scaled != 1:
        raise UserError("a scaled ELU has no rule here")
    return g.node("Elu", [x.name], alpha=float(alpha))


def _gelu(g: "OnnxGraph", out: Any, x: Value, approximate: str = "none") -> str:
    return g.node("Gelu", [x.name], approximate=approximate)


def _clamp(g: "OnnxGraph", out: Any, x: Value, low: Any = None, high: Any = None) -> str:
    name = x.name
    if low is not None:
        name = g.node("Max", [name, g.number(low, out.dtype)])
    return name if high is None else g.node("Min", [name, g.number(high, out.dtype)])


def _where(g: "OnnxGraph", out: Any, choice: Value, a: Any, b: Any) -> str:
    return g.node("Where", [choice.name, g.number(a, out.dtype), g.number(b, out.dtype)])


def _cast(g: "OnnxGraph", out: Any, x: Value, **_: Any) -> str:
    return g.number(x, out.dtype)


def _full(g: "OnnxGraph", out: Any, shape: Sequence[Any], value: Any, **_: Any) -> str:
    return g.node("Expand", [g.number(value, out.dtype), g.sizes(shape)])


def _full_like(g: "OnnxGraph", out: Any, x: Value, value: Any, **_: Any) -> str:
    return g.node("Expand", [g.constant(value, out.dtype), g.node("Shape", [x.name])])


def _scalar(g: "OnnxGraph", out: Any, value: Any, **_: Any) -> str:
    return g.number(value, out.dtype)


def _range(g: "OnnxGraph", out: Any, start: Any, end: Any, step: Any = 1, **_: Any) -> str:
    ends = [g.node("Squeeze", [g.sizes([x])]) for x in (start, end, step)]
    return g.cast(g.node("Range", ends), torch.int64, out.dtype)


def _floor_div(g: "OnnxGraph", out: Any, a: Value, b: Any, rounding_mode: str) -> str:
    """Of whole numbers that are not negative, where all ways of rounding are one."""
    if out.dtype.is_floating_point or rounding_mode != "floor":
        raise UserError("this division has no rule here")
    return g.node("Div", [g.number(a, out.dtype), g.number(b, out.dtype)])


def _reshape(g: "OnnxGraph", out: Any, x: Value, shape: Sequence[Any]) -> str:
    free = [isinstance(n, Size) for n in shape]
    if sum(free) == 1 and -1 not in shape:
        shape = [-1 if one else n for n, one in zip(shape, free)]
    return g.node("Reshape", [x.name, g.sizes(shape)])


def _expand(g: "OnnxGraph", out: Any, x: Value, shape: Sequence[Any], **_: Any) -> str:
    if x.like.shape == out.shape:  # an axis of one number is one in both
        return x.name
    kept = [1 if not isinstance(n, Size) and n == -1 else n for n in shape]
    return g.node("Expand", [x.name, g.sizes(kept)])


def _permute(g: "OnnxGraph", out: Any, x: Value, dims: Sequence[int]) -> str:
    return g.node("Transpose", [x.name], perm=[d % x.like.dim() for d in dims])


def _unsqueeze(g: "OnnxGraph", out: Any, x: Value, dim: int) -> str:
    return g.node("Unsqueeze", [x.name, g.sizes([dim])])


def _squeeze(g: "OnnxGraph", out: Any, x: Value, dims: Sequence[int]) -> str:
    ones = [d for d in dims if x.like.shape[d] == 1]
    return g.node("Squeeze", [x.name, g.sizes(ones)]) if ones else x.name


def _select(g: "OnnxGraph", out: Any, x: Value, dim: int, index: int) -> str:
    return g.node("Gather", [x.name, g.constant(index, torch.int64)], axis=dim)


def _slice(
    g: "OnnxGraph", out: Any, x: Value, dim: int = 0, start: Any = None, end: Any = None,
    step: int = 1,
) -> str:  # fmt: skip
    last = 2**63 - 1
    begin = 0 if start is None else start
    finish = last if end is None else end
    if step == 1 and begin == 0 and finish == last:
        return x.name
    return g.node("Slice", [x.name, *(g.sizes([n]) for n in (begin, finish, dim, step))])


def _split(g: "OnnxGraph", out: Any, x: Value, sizes: Sequence[int], dim: int = 0) -> list[str]:
    return g.nodes("Split", [x.name, g.sizes(sizes)], len(sizes), axis=dim)


def _cat(g: "OnnxGraph", out: Any, parts: Sequence[Value], dim: int = 0) -> str:
    full = [part for part in parts if part.like.numel()]
    names = [g.number(part, out.dtype) for part in full]
    return g.node("Concat", names, axis=dim) if len(names) > 1 else names[0]


def _pad(g: "OnnxGraph", out: Any, x: Value, pads: Sequence[int], value: Any = 0) -> str:
    rank, half = x.like.dim(), len(pads) // 2
    before, after = [0] * rank, [0] * rank
    for i in range(half):
        before[rank - 1 - i], after[rank - 1 - i] = pads[2 * i], pads[2 * i + 1]
    return g.node("Pad", [x.name, g.sizes([*before, *after]), g.constant(value, out.dtype)])


def _gather(g: "OnnxGraph", out: Any, x: Value, dim: int, index: Value, **_: Any) -> str:
    return g.node("GatherElements", [x.name, index.name], axis=dim)


def _scatter(g: "OnnxGraph", out: Any, x: Value, dim: int, index: Value, source: Value) -> str:
    return g.node("ScatterElements", [x.name, index.name, source.name], axis=dim)


def _embedding(g: "OnnxGraph", out: Any, table: Value, index: Value, *_: Any, **__: Any) -> str:
    return g.node("Gather", [table.name, index.name], axis=0)


def _index_select(g: "OnnxGraph", out: Any, x: Value, dim: int, index: Value) -> str:
    return g.node("Gather", [x.name, index.name], axis=dim)


def _index(g: "OnnxGraph", out: Any, x: Value, indices: Sequence[Any]) -> str:
    """One index, or two of the last axes, which then count as one."""
    axes = [i for i, index in enumerate(indices) if index is not None]
    if len(axes) == 1:
        return g.node("Gather", [x.name, indices[axes[0]].name], axis=axes[0])
    rank = x.like.dim()
    if axes != [rank - 2, rank - 1]:
        raise UserError("these indices have no rule here")
    width = x.like.shape[-1]
    flat = g.node("Reshape", [x.name, g.sizes([*[0] * (rank - 2), -1])])
    first, second = (indices[axis].name for axis in axes)
    row = g.node("Mul", [first, g.constant(width, torch.int64)])
    return g.node("Gather", [flat, g.node("Add", [row, second])], axis=rank - 2)


def _reduced(kind: str) -> Rule:
    def rule(
        g: "OnnxGraph", out: Any, x: Value, dims: Any = None, keepdim: bool = False, **_: Any
    ) -> str:
        axes = [dims] if isinstance(dims, int) else list(dims or range(x.like.dim()))
        name = g.number(x, out.dtype)
        return g.node(kind, [name, g.sizes(axes)], keepdims=int(keepdim))

    return rule


def _norm(g: "OnnxGraph", out: Any, x: Value, order: Any = 2, dims: Any = None, keepdim=False, **_):
    if order != 2:
        raise UserError(f"the norm of order {order} has no rule here")
    return _reduced("ReduceL2")(g, out, x, dims, keepdim)


def _softmax(g: "OnnxGraph", out: Any, x: Value, dim: int, half: bool) -> str:
    return g.node("Softmax", [x.name], axis=dim)


def _cumsum(g: "OnnxGraph", out: Any, x: Value, dim: int, **_: Any) -> str:
    return g.node("CumSum", [g.number(x, out.dtype), g.constant(dim, torch.int64)])


def _cummax(g: "OnnxGraph", out: Any, x: Value, dim: int) -> list[str]:
    """Over one position: itself."""
    if x.like.shape[dim] != 1:
        raise UserError("a running maximum has no operator in ONNX")
    return [x.name, g.node("Expand", [g.constant(0, torch.int64), g.node("Shape", [x.name])])]


def _layer_norm(
    g: "OnnxGraph", out: Any, x: Value, shape: Sequence[int], weight: Any, bias: Any, eps: float
) -> list[str]:
    scale = g.held(torch.ones(*shape)) if weight is None else weight.name
    names = [x.name, scale, *([] if bias is None else [bias.name])]
    return [g.node("LayerNormalization", names, axis=-len(shape), epsilon=float(eps))]


def _group_norm(
    g: "OnnxGraph", out: Any, x: Value, weight: Any, bias: Any, N: Any, C: int, size: int, G: int,
    eps: float,
) -> list[str]:  # fmt: skip
    width = C // G * size
    groups = g.node("Reshape", [x.name, g.sizes([0, G, width])])
    normal = g.node("LayerNormalization", [groups, g.held(torch.ones(width))], axis=-1,
                    epsilon=float(eps))  # fmt: skip
    found = g.node("Reshape", [normal, g.node("Shape", [x.name])])
    rank = x.like.dim()
    for kind, tensor in (("Mul", weight), ("Add", bias)):
        if tensor is not None:
            shaped = g.node("Reshape", [tensor.name, g.sizes([C, *[1] * (rank - 2)])])
            found = g.node(kind, [found, shaped])
    return [found]


def _topk(
    g: "OnnxGraph", out: Any, x: Value, count: int, dim: int = -1, largest: bool = True, *_: Any
) -> list[str]:
    return g.nodes("TopK", [x.name, g.sizes([count])], 2, axis=dim, largest=int(largest))


def _addmm(g: "OnnxGraph", out: Any, bias: Value, a: Value, b: Value) -> str:
    return g.node("Gemm", [a.name, b.name, bias.name])


RULES: dict[Any, Rule] = {
    operator.mul: _sizes("Mul"), operator.add: _sizes("Add"), operator.sub: _sizes("Sub"),
    aten.embedding.default: _embedding, aten.reshape.default: _reshape,
    aten.expand.default: _expand, aten.permute.default: _permute,
    aten.unsqueeze.default: _unsqueeze, aten.squeeze.dims: _squeeze, aten.select.int: _select,
    aten.slice.Tensor: _slice, aten.split_with_sizes.default: _split, aten.cat.default: _cat,
    aten.constant_pad_nd.default: _pad, aten.gather.default: _gather,
    aten.scatter.src: _scatter, aten.index.Tensor: _index, aten.index_select.default: _index_select,
    aten.add.Tensor: _promoted("Add"), aten.add.Scalar: _promoted("Add"),
    aten.sub.Tensor: _promoted("Sub"), aten.mul.Tensor: _promoted("Mul"),
    aten.div.Tensor: _promoted("Div"), aten.div.Tensor_mode: _floor_div,
    aten.minimum.default: _promoted("Min"), aten.maximum.default: _promoted("Max"),
    aten.pow.Tensor_Scalar: _promoted("Pow"), aten.pow.Scalar: _promoted("Pow"),
    aten.remainder.Scalar: _promoted("Mod"),
    aten.ge.Scalar: _compared("GreaterOrEqual"), aten.ge.Tensor: _compared("GreaterOrEqual"),
    aten.gt.Scalar: _compared("Greater"), aten.gt.Tensor: _compared("Greater"),
    aten.le.Scalar: _compared("LessOrEqual"), aten.le.Tensor: _compared("LessOrEqual"),
    aten.lt.Scalar: _compared("Less"), aten.lt.Tensor: _compared("Less"),
    aten.eq.Scalar: _compared("Equal"), aten.eq.Tensor: _compared("Equal"),
    aten.ne.Scalar: _compared("Equal", True), aten.ne.Tensor: _compared("Equal", True),
    aten.bitwise_and.Tensor: _plain("And"), aten.bitwise_or.Tensor: _plain("Or"),
    aten.bitwise_not.default: _plain("Not"), aten.logical_not.default: _plain("Not"),
    aten.logical_and.default: _plain("And"), aten.where.self: _where,
    aten.neg.default: _plain("Neg"), aten.abs.default: _plain("Abs"),
    aten.exp.default: _plain("Exp"), aten.log.default: _plain("Log"),
    aten.log1p.default: _log1p, aten.expm1.default: _expm1,
    aten.sigmoid.default: _plain("Sigmoid"), aten.tanh.default: _plain("Tanh"),
    aten.relu.default: _plain("Relu"), aten.elu.default: _elu, aten.gelu.default: _gelu,
    aten.sqrt.default: _plain("Sqrt"), aten.rsqrt.default: _rsqrt,
    aten.reciprocal.default: _plain("Reciprocal"), aten.sin.default: _plain("Sin"),
    aten.cos.default: _plain("Cos"), aten.round.default: _plain("Round"),
    aten.clamp.default: _clamp, aten._to_copy.default: _cast, aten.full.default: _full,
    aten.full_like.default: _full_like, aten.scalar_tensor.default: _scalar,
    aten.arange.start_step: _range, aten.mm.default: _plain("MatMul"),
    aten.bmm.default: _plain("MatMul"), aten.matmul.default: _plain("MatMul"),
    aten.addmm.default: _addmm,
    aten.sum.dim_IntList: _reduced("ReduceSum"), aten.mean.dim: _reduced("ReduceMean"),
    aten.amax.default: _reduced("ReduceMax"), aten.linalg_vector_norm.default: _norm,
    aten._softmax.default: _softmax, aten.cumsum.default: _cumsum, aten.cummax.default: _cummax,
    aten.native_layer_norm.default: _layer_norm, aten.native_group_norm.default: _group_norm,
    aten.topk.default: _topk,
}  # fmt: skip
