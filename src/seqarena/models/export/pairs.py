"""Complex numbers as pairs of real ones, which ONNX and C have: a rule an operator."""

import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.fx.node import map_aggregate

from seqarena.core.errors import UserError

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten


Emit = Callable[..., Any]


class ComplexPair:
    """A complex number by its parts; `im` None: it is real. No tuple: arguments hold it whole."""

    def __init__(self, re: Any, im: Any) -> None:
        self.re, self.im = re, im


def on_pairs(emit: Emit, target: Any, arguments: Any, options: Any) -> Any:
    """The operator `target` where an argument is complex, or its result is: by real operators,
    which `emit` writes. Raises UserError for one that has no rule."""
    if target is aten.view_as_complex.default:
        return ComplexPair(*(emit(aten.select.int, arguments[0], -1, part) for part in (0, 1)))
    if target is aten.complex.default:
        return ComplexPair(*arguments)
    rule = _RULES.get(target)
    if rule is not None:
        return rule(emit, *cast("Any", map_aggregate(arguments, _as_pair)), **options)
    if target in _EACH_PART:
        return _each_part(emit, target, arguments, options)
    raise UserError(f"{target} of complex numbers has no rule here")


def _times(emit: Emit, x: Any, y: Any, by: Any = aten.mul.Tensor) -> ComplexPair:
    (a, b), (c, d) = _parts(x), _parts(y)
    if b is None and d is None:
        return ComplexPair(emit(by, a, c), None)
    if b is None:
        return ComplexPair(emit(by, a, c), emit(by, a, d))
    if d is None:
        return ComplexPair(emit(by, a, c), emit(by, b, c))
    real = emit(aten.sub.Tensor, emit(by, a, c), emit(by, b, d))
    return ComplexPair(real, emit(aten.add.Tensor, emit(by, a, d), emit(by, b, c)))


def _plus(emit: Emit, x: Any, y: Any, alpha: Any = 1, sign: Any = aten.add.Tensor) -> ComplexPair:
    assert alpha == 1
    (a, b), (c, d) = _parts(x), _parts(y)
    if d is None:
        return ComplexPair(emit(sign, a, c), b)
    if b is None:
        b = 0.0
        imaginary = emit(aten.neg.default, d) if sign is aten.sub.Tensor else d
        return ComplexPair(emit(sign, a, c), imaginary)
    return ComplexPair(emit(sign, a, c), emit(sign, b, d))


def _minus(emit: Emit, x: Any, y: Any) -> ComplexPair:
    return _plus(emit, x, y, sign=aten.sub.Tensor)


def _as_real(emit: Emit, x: ComplexPair) -> Any:
    both = [emit(aten.unsqueeze.default, part, -1) for part in _parts(x)]
    return emit(aten.cat.default, both, -1)


def _exponential(emit: Emit, x: ComplexPair) -> ComplexPair:
    size = emit(aten.exp.default, x.re)
    turn = (emit(aten.cos.default, x.im), emit(aten.sin.default, x.im))
    return ComplexPair(*(emit(aten.mul.Tensor, size, part) for part in turn))


def _conjugate(emit: Emit, x: ComplexPair) -> ComplexPair:
    return ComplexPair(x.re, emit(aten.neg.default, x.im))


def _bmm(emit: Emit, x: Any, y: Any) -> ComplexPair:
    return _times(emit, x, y, by=aten.bmm.default)


def _mm(emit: Emit, x: Any, y: Any) -> ComplexPair:
    return _times(emit, x, y, by=aten.mm.default)


_RULES: dict[Any, Callable[..., Any]] = {
    aten.mul.Tensor: _times,
    aten.add.Tensor: _plus,
    aten.sub.Tensor: _minus,
    aten.bmm.default: _bmm,
    aten.mm.default: _mm,
    aten.exp.default: _exponential,
    aten._conj.default: _conjugate,
    aten.view_as_real.default: _as_real,
    aten.real.default: lambda emit, x: x.re,
    aten.imag.default: lambda emit, x: x.im,
}
_EACH_PART = {  # linear: the same of both parts
    aten.neg.default, aten.sum.dim_IntList, aten.reshape.default, aten.expand.default,
    aten.permute.default, aten.unsqueeze.default, aten.squeeze.dims, aten.select.int,
    aten.slice.Tensor, aten.cat.default, aten._to_copy.default, aten.index_select.default,
    aten.split_with_sizes.default, operator.getitem, aten.where.self, aten.flip.default,
}  # fmt: skip


def _each_part(emit: Emit, target: Any, arguments: Any, options: Any) -> Any:
    options = {name: value for name, value in options.items() if name != "dtype"}
    found = []
    for part in (0, 1):
        chosen = map_aggregate(arguments, lambda x, part=part: _part(x, part))
        found.append(emit(target, *cast("Any", chosen), **options))
    if isinstance(found[0], tuple | list):
        return [ComplexPair(re, im) for re, im in zip(*found, strict=True)]
    return ComplexPair(*found)


def _part(value: Any, part: int) -> Any:
    if isinstance(value, ComplexPair):
        return value.re if part == 0 else value.im
    if is_complex(value):
        return (value.real if part == 0 else value.imag).contiguous()
    return value


def _as_pair(value: Any) -> Any:
    if is_complex(value):
        return ComplexPair(value.real.contiguous(), value.imag.contiguous())
    return value


def _parts(value: Any) -> tuple[Any, Any]:
    return (value.re, value.im) if isinstance(value, ComplexPair) else (value, None)


def is_complex(value: Any) -> bool:
    """Whether it is a tensor of complex numbers."""
    return isinstance(value, Tensor) and value.is_complex()
