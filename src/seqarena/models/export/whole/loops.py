"""Time inside of a traced graph: one step, applied to one position after the other.

    carried, outputs = over_time(step, carried, timed, fixed)

The trace holds one node for it, `seqarena::over_time`, whatever the number of positions; the step
is traced by itself (`Body.graph`). In torch the node is a plain loop, which is its slow truth; a
file has a `Scan` (onnx.py) or torch's `scan` (torch_program.py).

    B  rows    T  positions
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _disable_current_modes

from seqarena.models.export.graph import reduced
from seqarena.models.export.tracing import LENGTH, ROWS, traced

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py

Step = Callable[
    [list[Tensor], list[Tensor], list[Tensor]], tuple[Sequence[Tensor], Sequence[Tensor]]
]
_numbers = itertools.count()
_bodies: "WeakValueDictionary[int, Body]" = WeakValueDictionary()


class Body:
    """A loop's step over plain tensors: (*carried, *timed_B, *fixed) -> (*carried, *outputs_B)."""

    def __init__(
        self, step: Step, carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]
    ) -> None:
        self.step = step
        self.counts = (len(carried), len(timed))
        self.number = next(_numbers)
        _bodies[self.number] = self
        shapes = [x.shape for x in carried]
        shapes += [x.shape[:1] + x.shape[2:] for x in timed] + [x.shape for x in fixed]
        self._dtypes = [x.dtype for x in (*carried, *timed, *fixed)]
        self._shapes = [tuple(n if isinstance(n, int) else None for n in s[1:]) for s in shapes]
        with _disable_current_modes(), torch.no_grad():
            found = self(*(x.zero_() for x in self._empty(2, 3)))
        self.outputs = [(tuple(x.shape[1:]), x.dtype) for x in found[len(carried) :]]

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        first, second = self.counts
        carried, timed = list(tensors[:first]), list(tensors[first : first + second])
        after, outputs = self.step(carried, timed, list(tensors[first + second :]))
        return *after, *outputs

    def _empty(self, rows: int, length: int) -> list[Tensor]:
        """Inputs of that size, unfilled; `length` is that of axes whose size is free."""
        shapes = [[rows, *(length if n is None else n for n in s)] for s in self._shapes]
        return [torch.empty(s, dtype=t) for s, t in zip(shapes, self._dtypes, strict=True)]

    def graph(self) -> fx.GraphModule:
        """The step alone, traced for any number of rows."""
        free = [{0, *(i for i, n in enumerate(s, 1) if n is None)} for s in self._shapes]
        return reduced(traced(self, self._empty(ROWS, LENGTH), free))


def body_of(number: int) -> Body:
    """The body of the loop that a node names."""
    return _bodies[number]


@torch.library.custom_op("seqarena::over_time", mutates_args=())
def loop(
    body: int, carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]
) -> list[Tensor]:
    """carried [B, ...], timed [B, T, ...] -> (carried after T steps, outputs [B, T, ...])."""
    own, after, found = body_of(body), [x.clone() for x in carried], []
    for t in range(timed[0].shape[1]):
        result = own(*after, *(x[:, t] for x in timed), *fixed)
        after = list(result[: len(carried)])
        found.append(result[len(carried) :])
    return [*(x.clone() for x in after), *(torch.stack(each, 1) for each in zip(*found))]


@loop.register_fake
def _(body: int, carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]) -> list[Tensor]:
    like = timed[0]
    shapes = [((*like.shape[:2], *shape), dtype) for shape, dtype in body_of(body).outputs]
    outputs = [like.new_empty(shape, dtype=dtype) for shape, dtype in shapes]
    return [*(torch.empty_like(x) for x in carried), *outputs]


def over_time(
    step: Step,
    carried: Sequence[Tensor],
    timed: Sequence[Tensor],
    fixed: Sequence[Tensor] = (),
    *,
    keep: list[Body],
) -> tuple[list[Tensor], list[Tensor]]:
    """`step(carried, timed at one position, fixed)` gives what is carried on and its outputs; both
    are of the rows. Gives what is carried in the end, and outputs [B, T, ...].

    Whatever else the step uses must be a parameter. The body is added to `keep`, which has to live
    as long as the graph.
    """
    pairs = [x.is_complex() for x in carried]

    def real_step(state: list[Tensor], inputs: list[Tensor], others: list[Tensor]) -> Any:
        state = [torch.view_as_complex(x) if c else x for x, c in zip(state, pairs)]
        after, outputs = step(state, inputs, others)
        return [torch.view_as_real(x) if c else x for x, c in zip(after, pairs)], outputs

    real = [torch.view_as_real(x) if c else x for x, c in zip(carried, pairs)]
    body = Body(real_step, real, list(timed), list(fixed))
    keep.append(body)
    found = torch.ops.seqarena.over_time(body.number, real, list(timed), list(fixed))
    after = [torch.view_as_complex(x) if c else x for x, c in zip(found, pairs)]
    return after, list(found[len(real) :])


def read(
    one: Callable[[Tensor, Any], tuple[Tensor, Any]],
    x_BTD: Tensor,
    state: Any,
    lengths_B: Tensor | None,
    *,
    keep: list[Body],
) -> tuple[Tensor, Any]:
    """Reads right-padded rows by `one(x_B1D, state) -> (y_B1E, state)`: y_BTE, and the state after
    each row's last real position."""
    leaves, structure = pytree.tree_flatten(state)
    timed = [x_BTD]
    if lengths_B is not None:
        steps_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        timed.append(steps_T < lengths_B[:, None])

    def step(carried: list[Tensor], inputs: list[Tensor], fixed: list[Tensor]) -> Any:
        y_B1E, after = one(inputs[0][:, None], pytree.tree_unflatten(carried, structure))
        after = pytree.tree_leaves(after)
        if lengths_B is not None:
            after = [where_rows(inputs[1], new, old) for new, old in zip(after, carried)]
        return after, [y_B1E[:, 0]]

    after, (y_BTE,) = over_time(step, leaves, timed, keep=keep)
    return y_BTE, pytree.tree_unflatten(after, structure)


def where_rows(choice_B: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` in the rows that are chosen, `old` in the others."""
    return torch.where(choice_B.reshape(-1, *[1] * (new.dim() - 1)), new, old)
