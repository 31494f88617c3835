"""Operators as C: one expression a number for those that work number by number, whole loops for the
few others. See program.py for views and buffers."""

from collections.abc import Callable
from typing import Any

import torch

from seqarena.core.errors import UserError

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
_INTEGER_TYPES = (torch.int64, torch.int32, torch.bool, torch.uint8)


def c_type(dtype: torch.dtype) -> str:
    """Integers and truth values are int32_t: no index here is longer."""
    return "int32_t" if dtype in _INTEGER_TYPES else "float"


def literal(value: Any, dtype: torch.dtype) -> str:
    """A number as C writes it; of float32 it reads back the same."""
    if c_type(dtype) == "int32_t":
        return str(max(-(2**31) + 1, min(2**31 - 1, int(value))))
    number = float(value)
    if number != number:
        return "NAN"
    if number in (float("inf"), float("-inf")):
        return "INFINITY" if number > 0 else "-INFINITY"
    text = f"{number:.9g}"
    return (text if any(c in text for c in ".en") else f"{text}.0") + "f"


def _function(name: str) -> Callable[..., str]:
    return lambda *x: f"{name}({', '.join(x)})"


def _infix(sign: str) -> Callable[..., str]:
    return lambda a, b: f"({a} {sign} {b})"


def _scaled(sign: str) -> Callable[..., str]:
    def both(a: str, b: str, alpha: str | None = None) -> str:
        return f"({a} {sign} {b})" if alpha is None else f"({a} {sign} {alpha} * {b})"

    return both


def _clamp(x: str, low: str | None = None, high: str | None = None) -> str:
    if low is not None:
        x = f"({x} < {low} ? {low} : {x})"
    return x if high is None else f"({x} > {high} ? {high} : {x})"


# of the argument's own number x; sigmoid and friends are functions of the file (source.py)
ELEMENTWISE: dict[Any, Callable[..., str]] = {
    aten.add.Tensor: _scaled("+"),
    aten.add.Scalar: _scaled("+"),
    aten.sub.Tensor: _scaled("-"),
    aten.sub.Scalar: _scaled("-"),
    aten.mul.Tensor: _infix("*"),
    aten.mul.Scalar: _infix("*"),
    aten.div.Tensor: _infix("/"),
    aten.div.Scalar: _infix("/"),
    aten.div.Tensor_mode: _infix("/"),  # of whole numbers that are not negative
    aten.neg.default: lambda x: f"(-{x})",
    aten.abs.default: _function("fabsf"),
    aten.exp.default: _function("expf"),
    aten.log.default: _function("logf"),
    aten.log1p.default: _function("log1pf"),
    aten.expm1.default: _function("expm1f"),
    aten.sigmoid.default: _function("sigmoid"),
    aten.tanh.default: _function("tanhf"),
    aten.relu.default: lambda x: f"({x} > 0.0f ? {x} : 0.0f)",
    aten.elu.default: lambda x, *_: f"({x} > 0.0f ? {x} : expm1f({x}))",
    aten.sqrt.default: _function("sqrtf"),
    aten.rsqrt.default: lambda x: f"(1.0f / sqrtf({x}))",
    aten.reciprocal.default: lambda x: f"(1.0f / {x})",
    aten.sin.default: _function("sinf"),
    aten.cos.default: _function("cosf"),
    aten.atan2.default: _function("atan2f"),
    aten.round.default: _function("rintf"),
    aten.pow.Scalar: _function("powf"),
    aten.pow.Tensor_Scalar: _function("powf"),
    aten.pow.Tensor_Tensor: _function("powf"),
    aten.remainder.Scalar: lambda x, y: f"((({x} % {y}) + {y}) % {y})",  # of integers
    aten.minimum.default: lambda a, b: f"({a} < {b} ? {a} : {b})",
    aten.maximum.default: lambda a, b: f"({a} > {b} ? {a} : {b})",
    aten.clamp.default: _clamp,
    aten.where.self: lambda c, a, b: f"({c} ? {a} : {b})",
    aten.bitwise_and.Tensor: _infix("&"),
    aten.bitwise_or.Tensor: _infix("|"),
    aten.bitwise_not.default: lambda x: f"(!{x})",  # of truth values
    aten.logical_and.default: _infix("&&"),
    aten.logical_or.default: _infix("||"),
    aten.logical_not.default: lambda x: f"(!{x})",
}
for _name, _sign in (
    ("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"), ("eq", "=="), ("ne", "!="),
):  # fmt: skip
    for _overload in ("Scalar", "Tensor"):
        ELEMENTWISE[getattr(getattr(aten, _name), _overload)] = _infix(_sign)


def gelu(x: str, approximate: str) -> str:
    """By the error function, or by the hyperbolic tangent."""
    return f"gelu_tanh({x})" if approximate == "tanh" else f"gelu({x})"


def check_elementwise(target: Any, arguments: tuple[Any, ...]) -> None:
    """Raises UserError for an argument that the expression leaves out."""
    if target is aten.elu.default and any(value != 1 for value in arguments[1:]):
        raise UserError(f"{target} with other constants than 1 has no C here")


HELPERS = """\
static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
static float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.707106781f)); }
static float gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.797884561f * (x + 0.044715f * x * x * x)));
}
"""
