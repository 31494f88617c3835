"""Loops in C over strided views: products, sums, normalisations, look-ups."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch

from seqarena.core.errors import UserError
from seqarena.models.export.c.views import (
    View,
    block,
    broadcast,
    elementwise,
    names_of,
    nest,
)

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten


def _product(out: View, a: View, b: View, bias: View | None = None) -> str:
    """out [M, N] = a [M, K] b [K, N] (+ bias): the inner loop runs over neighbours of b."""
    (M, K), N = a.shape, b.shape[1]
    o, x, w = out.at(["m", "n"]), a.at(["m", "k"]), b.at(["k", "n"])
    start = nest([M, N], ["m", "n"], f"{o} = 0.0f;")
    inner = block(f"const float x = {x};", nest([N], ["n"], f"{o.replace('n', 'n')} += x * {w};"))
    lines = [start, nest([M, K], ["m", "k"], inner)]
    if b.scale is not None:
        assert b.scaled == 1
        lines.append(nest([M, N], ["m", "n"], f"{o} *= {b.scale}[{'n' if N > 1 else '0'}];"))
    if bias is not None:
        added = broadcast(bias, out.shape).at(["m", "n"])
        lines.append(nest([M, N], ["m", "n"], f"{o} += {added};"))
    return "\n".join(lines)


def _bias_product(out: View, bias: View, a: View, b: View, **options: Any) -> str:
    if any(value != 1 for value in options.values()):
        raise UserError("addmm with factors has no C here")
    return _product(out, a, b, bias)


def _batched_product(out: View, a: View, b: View) -> str:
    (G, M, K), N = a.shape, b.shape[2]
    o, x, w = out.at(["g", "m", "n"]), a.at(["g", "m", "k"]), b.at(["g", "k", "n"])
    body = block("float sum = 0.0f;", nest([K], ["k"], f"sum += {x} * {w};"), f"{o} = sum;")
    return nest([G, M, N], ["g", "m", "n"], body)


def _reduction(start: str, step: str, end: str) -> Callable[..., str]:
    """A rule that goes over axes: `step` and `end` name the element {x}, and the count {n}."""

    def rule(out: View, x: View, dims: Any = None, keepdim: bool = False, **_: Any) -> str:
        axes = _axes(dims, len(x.shape))
        outer, inner = names_of(len(x.shape)), names_of(len(x.shape), "r")
        index = [inner[i] if i in axes else outer[i] for i in range(len(x.shape))]
        kept = [outer[i] for i in range(len(x.shape)) if keepdim or i not in axes]
        sizes = [1 if i in axes else n for i, n in enumerate(x.shape)]
        element = x.at(index)
        count = math.prod(x.shape[i] for i in axes)
        body = block(
            f"float sum = {start};",
            nest([x.shape[i] for i in axes], [inner[i] for i in axes], step.format(x=element)),
            f"{out.at(kept)} = {end.format(n=f'{count}.0f')};",
        )
        return nest(sizes, outer, body)

    return rule


def _axes(dims: Any, count: int) -> list[int]:
    if dims is None or (isinstance(dims, list | tuple) and not dims):
        return list(range(count))
    return sorted(d % count for d in ([dims] if isinstance(dims, int) else dims))


def _norm(out: View, x: View, order: Any = 2, dims: Any = None, keepdim: bool = False, **_: Any):
    if order != 2:
        raise UserError(f"the norm of order {order} has no C here")
    return _reduction("0.0f", "sum += {x} * {x};", "sqrtf(sum)")(out, x, dims, keepdim)


def _softmax(out: View, x: View, dim: int, _half: bool) -> str:
    outer, dim = names_of(len(x.shape)), dim % len(x.shape)
    index = [*outer[:dim], "r", *outer[dim + 1 :]]
    size, element, result = x.shape[dim], x.at(index), out.at(index)
    body = block(
        "float most = -INFINITY, sum = 0.0f;",
        nest([size], ["r"], f"most = {element} > most ? {element} : most;"),
        nest([size], ["r"], f"sum += ({result} = expf({element} - most));"),
        nest([size], ["r"], f"{result} /= sum;"),
    )
    return nest([1 if i == dim else n for i, n in enumerate(x.shape)], outer, body)


def _running(start: str, step: str) -> Callable[..., str]:
    def rule(out: Any, x: View, dim: int, **_: Any) -> str:
        out = out[0] if isinstance(out, list) else out
        outer, dim = names_of(len(x.shape)), dim % len(x.shape)
        index = [*outer[:dim], "r", *outer[dim + 1 :]]
        text = step.format(x=x.at(index))
        size = x.shape[dim]
        loop = nest([size], ["r"], block(text, f"{out.at(index)} = sum;"))
        sizes = [1 if i == dim else n for i, n in enumerate(x.shape)]
        return nest(sizes, outer, block(f"{out.kind} sum = {start};", loop))

    return rule


def _layer_norm(outs: list[Any], x: View, shape: Any, weight: Any, bias: Any, eps: float) -> str:
    axes = len(shape)
    outer, inner = names_of(len(x.shape) - axes), names_of(axes, "r")
    last = [f"{name}" for name in inner]
    return _normalised(outs[0], x, outer, last, weight, bias, eps, last)


def _normalised(
    out: View, x: View, outer: list[str], inner: list[str],
    weight: Any, bias: Any, eps: float, own: list[str],
) -> str:  # fmt: skip
    split = len(outer)
    sizes, index = x.shape[split:], [*outer, *inner]
    count, element = f"{math.prod(sizes)}.0f", x.at(index)
    factor = "" if weight is None else f" * {weight.at(own)}"
    shift = "" if bias is None else f" + {bias.at(own)}"
    body = block(
        "float mean = 0.0f, square = 0.0f;",
        nest(sizes, inner, f"mean += {element};"),
        f"mean /= {count};",
        nest(sizes, inner, f"square += ({element} - mean) * ({element} - mean);"),
        f"square = 1.0f / sqrtf(square / {count} + {eps!r}f);",
        nest(sizes, inner, f"{out.at(index)} = ({element} - mean) * square{factor}{shift};"),
    )
    return nest(x.shape[:split], outer, body)


def _group_norm(
    outs: list[Any], x: View, weight: Any, bias: Any, N: int, C: int, size: int, G: int, eps: float
) -> str:  # fmt: skip
    grouped, result = (v.reshaped((N, G, C // G, size)) for v in (x, outs[0]))
    if grouped is None or result is None:
        raise UserError("a group norm of a transposed view has no C here")
    weight, bias = (None if v is None else v.reshaped((G, C // G)) for v in (weight, bias))
    outer, inner = ["i0", "i1"], ["r0", "r1"]
    return _normalised(result, grouped, outer, inner, weight, bias, eps, ["i1", "r0"])


def _gathered(out: View, x: View, dim: int, index: View, **_: Any) -> str:
    names = names_of(len(out.shape))
    dim %= len(x.shape)
    place = [*names[:dim], index.at(names), *names[dim + 1 :]]
    return nest(out.shape, names, f"{out.at(names)} = {_anywhere(x, place, dim)};")


def _anywhere(x: View, place: list[str], dim: int) -> str:
    """An element by an index that is looked up: an axis of one index has only that one."""
    return x._replace(shape=tuple(max(2, n) if i == dim else n for i, n in enumerate(x.shape))).at(
        place
    )


def scattered(out: View, dim: int, index: View, source: View) -> str:
    """out[..., index, ...] = source."""
    names = names_of(len(index.shape))
    dim %= len(out.shape)
    place = [*names[:dim], index.at(names), *names[dim + 1 :]]
    return nest(index.shape, names, f"{_anywhere(out, place, dim)} = {source.at(names)};")


def _scatter(out: View, x: View, dim: int, index: View, source: Any) -> str:
    copied = elementwise(out, [x], lambda y: y)
    return f"{copied}\n{scattered(out, dim, index, source)}"


def _embedding(out: View, table: View, index: View, *_: Any, **__: Any) -> str:
    names = names_of(len(out.shape))
    row = index.at(names[:-1])
    factor = f" * {table.scale}[{row}]" if table.scale else ""
    text = f"{out.at(names)} = {_anywhere(table, [row, names[-1]], 0)}{factor};"
    return nest(out.shape, names, text)


def _index(out: View, x: View, indices: Sequence[Any]) -> str:
    """x[:, i, j]: indices of neighbouring axes, at their place."""
    axes = [i for i, index in enumerate(indices) if index is not None]
    found = [cast("View", indices[i]) for i in axes]
    if axes != list(range(axes[0], axes[0] + len(axes))):
        raise UserError("indices of axes that lie apart have no C here")
    shared = out.shape[axes[0] : len(out.shape) - (len(x.shape) - axes[-1] - 1)]
    names = names_of(len(out.shape))
    own = names[axes[0] : axes[0] + len(shared)]
    looked = [broadcast(index, shared).at(own) for index in found]
    place = [*names[: axes[0]], *looked, *names[axes[0] + len(shared) :]]
    return nest(out.shape, names, f"{out.at(names)} = {x.at(place)};")


def _index_select(out: View, x: View, dim: int, index: View) -> str:
    names = names_of(len(out.shape))
    dim %= len(x.shape)
    place = [*names[:dim], index.at([names[dim]]), *names[dim + 1 :]]
    return nest(out.shape, names, f"{out.at(names)} = {_anywhere(x, place, dim)};")


def _joined(out: View, parts: Sequence[View], dim: int = 0) -> str:
    parts = [part for part in parts if math.prod(part.shape)]
    dim %= len(out.shape)
    begin, lines = 0, []
    for part in parts:
        place = out.narrowed(dim, begin, part.shape[dim])
        lines.append(elementwise(place, [part], lambda x: x))
        begin += part.shape[dim]
    return "\n".join(lines)


def _padded(out: View, x: View, pads: Sequence[int], value: float = 0.0) -> str:
    inner = out
    for i in range(len(pads) // 2):
        dim = len(out.shape) - 1 - i
        before, after = pads[2 * i], pads[2 * i + 1]
        if before < 0 or after < 0:
            raise UserError("padding that cuts has no C here")
        inner = inner.narrowed(dim, before, out.shape[dim] - before - after)
    number = f"{value!r}f" if out.kind == "float" else str(int(value))
    filled = elementwise(out, [number], lambda y: y)
    return f"{filled}\n{elementwise(inner, [x], lambda y: y)}"


def _largest(outs: list[Any], x: View, count: int, dim: int = -1, *_: Any) -> str:
    """The `count` largest, by going over all for each; the first of equals wins."""
    values, places = outs
    if dim % len(x.shape) != len(x.shape) - 1:
        raise UserError("topk of an inner axis has no C here")
    outer = names_of(len(x.shape) - 1)
    size, element = x.shape[-1], x.at([*outer, "r"])
    taken = places.at([*outer, "j"])
    body = block(
        "int best = -1;",
        nest([size], ["r"], block(
            "int used = 0;",
            f"for (int j = 0; j < c; ++j) used |= {taken} == r;",
            f"if (!used && (best < 0 || {element} > {x.at([*outer, 'best'])})) best = r;",
        )),
        f"{places.at([*outer, 'c'])} = best;",
        f"{values.at([*outer, 'c'])} = {x.at([*outer, 'best'])};",
    )  # fmt: skip
    loop = f"for (int c = 0; c < {count}; ++c)\n{body}"
    return nest(x.shape[:-1], outer, loop)


def _flipped(out: View, x: View, dims: Sequence[int]) -> str:
    names = names_of(len(out.shape))
    axes = _axes(dims, len(x.shape))
    place = [f"({x.shape[i] - 1} - {n})" if i in axes else n for i, n in enumerate(names)]
    return nest(out.shape, names, f"{out.at(names)} = {x.at(place)};")


RULES: dict[Any, Callable[..., str]] = {
    aten.mm.default: _product,
    aten.addmm.default: _bias_product,
    aten.bmm.default: _batched_product,
    aten.sum.dim_IntList: _reduction("0.0f", "sum += {x};", "sum"),
    aten.mean.dim: _reduction("0.0f", "sum += {x};", "sum / {n}"),
    aten.amax.default: _reduction("-INFINITY", "sum = {x} > sum ? {x} : sum;", "sum"),
    aten.linalg_vector_norm.default: _norm,
    aten._softmax.default: _softmax,
    aten.cumsum.default: _running("0", "sum += {x};"),
    aten.cummax.default: _running("-INFINITY", "sum = {x} > sum ? {x} : sum;"),
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
