"""Strided views of C arrays, and the loops over their elements."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from seqarena.core.errors import UserError

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class View(NamedTuple):
    """Elements of a buffer: element i is at offset + sum(i * stride). `scale` names the factors of
    int8 weights: one for each index of axis `scaled`."""

    buffer: str
    kind: str  # float, int32_t or int8_t
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    scale: str | None = None
    scaled: int = 0

    def at(self, index: Sequence[str]) -> str:
        """The element at these indices, which are C expressions."""
        terms = [_term(i, s) for i, s, n in zip(index, self.strides, self.shape) if n > 1 and s]
        if self.offset or not terms:
            terms.append(str(self.offset))
        return f"{self.buffer}[{' + '.join(terms)}]"

    def permuted(self, dims: Sequence[int]) -> "View":
        dims = [d % len(self.shape) for d in dims]
        scaled = dims.index(self.scaled) if self.scale else 0
        return self._replace(
            shape=tuple(self.shape[d] for d in dims),
            strides=tuple(self.strides[d] for d in dims),
            scaled=scaled,
        )

    def unsqueezed(self, dim: int) -> "View":
        dim %= len(self.shape) + 1
        return self._plain(
            (*self.shape[:dim], 1, *self.shape[dim:]), (*self.strides[:dim], 0, *self.strides[dim:])
        )

    def without(self, dim: int) -> "View":
        """One axis fewer, of which the first index is taken."""
        return self._plain(
            (*self.shape[:dim], *self.shape[dim + 1 :]),
            (*self.strides[:dim], *self.strides[dim + 1 :]),
        )

    def narrowed(self, dim: int, begin: int, count: int, step: int = 1) -> "View":
        shape, strides = list(self.shape), list(self.strides)
        offset = self.offset + begin * strides[dim]
        shape[dim], strides[dim] = count, strides[dim] * step
        return self._plain(tuple(shape), tuple(strides))._replace(offset=offset)

    def expanded(self, shape: Sequence[int]) -> "View":
        extra = len(shape) - len(self.shape)
        old = (1,) * extra + self.shape
        strides = (0,) * extra + self.strides
        full = tuple(o if n == -1 else n for n, o in zip(shape, old))
        return self._plain(full, tuple(s if o == n else 0 for s, o, n in zip(strides, old, full)))

    def reshaped(self, shape: tuple[int, ...]) -> "View | None":
        """Another shape of the same elements in the same order; None: that needs a copy."""
        probe = torch.empty(0).as_strided((0,), (1,))
        try:
            probe = torch.empty(1, device="meta").as_strided(self.shape, self.strides).view(shape)
        except RuntimeError:
            return None
        return self._plain(shape, tuple(probe.stride()))

    def _plain(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> "View":
        if self.scale:
            raise UserError("int8 weights are read by products and look-ups alone")
        return self._replace(shape=shape, strides=strides)


def contiguous(buffer: str, kind: str, shape: tuple[int, ...]) -> View:
    """A view of a whole buffer."""
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return View(buffer, kind, shape, tuple(strides))


def _term(index: str, stride: int) -> str:
    return index if stride == 1 else f"{stride} * {index}"


def nest(sizes: Sequence[int], names: Sequence[str], body: str) -> str:
    """Loops around a body; an axis of one index needs none."""
    lines, depth = [], 0
    for size, name in zip(sizes, names):
        if size != 1:
            lines.append("    " * depth + f"for (int {name} = 0; {name} < {size}; ++{name})")
            depth += 1
    inner = ["    " * depth + line for line in body.split("\n")]
    return "\n".join([*lines, *inner])


def block(*lines: str) -> str:
    """Statements in braces."""
    inner = ["    " + line for text in lines for line in text.split("\n")]
    return "\n".join(["{", *inner, "}"])


def names_of(count: int, prefix: str = "i") -> list[str]:
    """The loops' variables."""
    return [f"{prefix}{i}" for i in range(count)]


def broadcast(view: View, shape: tuple[int, ...]) -> View:
    """The view with the axes of `shape`, where those of length one repeat."""
    return view.expanded(shape) if view.shape != shape else view


def elementwise(out: View, operands: Sequence[Any], form: Callable[..., str]) -> str:
    """out = form(operands), number by number. Operands are views and C expressions."""
    views = [out, *(broadcast(x, out.shape) for x in operands if isinstance(x, View))]
    shape, views = merged(views)
    index = names_of(len(shape))
    rest = iter(views[1:])
    texts = [next(rest).at(index) if isinstance(x, View) else x for x in operands]
    return nest(shape, index, f"{views[0].at(index)} = {form(*texts)};")


def merged(views: list[View]) -> tuple[tuple[int, ...], list[View]]:
    """The views with neighbouring axes as one, wherever all of them allow it."""
    shape = views[0].shape
    axes: list[tuple[int, list[int]]] = []  # (size, stride of each view)
    for i, size in enumerate(shape):
        strides = [view.strides[i] for view in views]
        if size == 1:
            continue
        if axes and all(a == size * s for a, s in zip(axes[-1][1], strides)):
            axes[-1] = (axes[-1][0] * size, strides)
        else:
            axes.append((size, strides))
    sizes = tuple(size for size, _ in axes)
    return sizes, [
        view._replace(shape=sizes, strides=tuple(strides[n] for _, strides in axes))
        for n, view in enumerate(views)
    ]
