"""A nonlinear recurrence solved for all positions at once by Newton's method.

    s_t = f(s_{t-1}, x_t)            T equations in T unknowns, s_0 given

Round k takes the states of the round before as a guess, evaluates f and its Jacobian J at all
positions side by side, and solves the recurrence that is left, which is linear:

    d_t = J_t d_{t-1} + f(s_{t-1}, x_t) - s_t,      s_t <- s_t + d_t          (`block_recurrence`)

A position whose predecessor is right is right after the round, so that T rounds always suffice;
where f forgets, a handful does, whatever T is. The solution is the loop's: J only decides how fast
it is reached. With blocks of J in the place of J (its diagonal; of an LSTM the 2 x 2 blocks of h
and c) a round is cheap at any width and more of them are needed (quasi-Newton).

The gradient does not go through the rounds. With g_t the whole gradient of s_t (implicit function),

    g_t = dy_t + J_{t+1}^T g_{t+1}

is one linear recurrence from the end, by the exact J at the solution; then one call of f at all
positions gives the gradients of its input and parameters. With blocks of J it takes rounds, too.

Where differences grow from step to step (a chaotic cell) the rounds approach T: then UserError says
so. `recorded_solves` shows how many rounds a call took.

Letters: B batch, T time, S state of one position, K blocks of N features. Sources: DEER, Lim et al.
2024; quasi-DEER, Gonzalez et al. 2024; ParaRNN, Danieli et al. 2025 (cells with such blocks).
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.core.errors import UserError
from seqarena.ops.recurrent.block_recurrence import (
    block_recurrence,
    prefix_steps,
    reversed_block_recurrence,
)

# The largest change of a state in the last round, as a share of the position's largest number (of
# one, where all are smaller): Newton's next change would be about its square.
TOLERANCES = {torch.float64: 1e-11, torch.float32: 1e-5}
MOST_ROUNDS = {"newton": 100, "quasi_newton": 400}
MOST_BYTES = 4 * 2**30  # of one round's Jacobians
TYPICAL_ROUNDS = {"newton": 6, "quasi_newton": 40}  # of cells as they are initialised
_INSTEAD = "compute it position by position, as the algorithms loop and stepwise do"

Method = Literal["newton", "quasi_newton"]


class Solve(NamedTuple):
    """How one pass over a sequence was solved."""

    cell: str
    direction: Literal["forward", "backward"]
    positions: int
    rounds: int
    change: float  # the largest relative change of the last round


class Jacobian(Protocol):
    """The derivative of f in the state, at every position of a sequence."""

    def blocks(self, method: Method) -> Tensor:
        """What a round solves with, [B, T, K, N, N]: all of J for `newton` (one block)."""
        ...

    def transposed_times(self, g_BTS: Tensor) -> Tensor:
        """J_t^T g_t, exactly."""
        ...


class SolvedCell(Protocol):
    """f at every position of one sequence, whose inputs it holds."""

    @property
    def name(self) -> str:
        """What records and errors call it."""
        ...

    def after(self, before_BTS: Tensor) -> Tensor:
        """f(s_{t-1}, x_t), under autograd."""
        ...

    def linearised(self, before_BTS: Tensor) -> tuple[Tensor, Jacobian]:
        """The same and its Jacobian; called without gradients."""
        ...


def serial_steps(method: Method) -> Callable[[int], int]:
    """The longest chain of dependent products by length, with as many rounds as are typical: the
    true number depends on the weights."""
    return lambda length: min(length, TYPICAL_ROUNDS[method] * prefix_steps(length))


_recorded: list[list[Solve]] = []


@contextlib.contextmanager
def recorded_solves() -> Iterator[list[Solve]]:
    """Inside, every solve is added to the list that is given: rounds forwards and backwards."""
    solves: list[Solve] = []
    _recorded.append(solves)
    try:
        yield solves
    finally:
        _recorded[:] = [other for other in _recorded if other is not solves]


def newton_states(cell: SolvedCell, start_BS: Tensor, length: int, method: Method) -> Tensor:
    """Every state [B, T, S], with gradients to what `cell.after` depends on and to the start.

    The start's dtype is the one that is computed in. Raises UserError where it does not converge,
    where the Jacobians need more than MOST_BYTES, and under export.
    """
    if torch.compiler.is_exporting():
        raise UserError(
            f"{cell.name} by {method!r} cannot be exported: how many rounds it takes depends on "
            f"the numbers: {_INSTEAD}"
        )
    if method == "newton":
        _check_room(cell.name, length, start_BS)
    with torch.no_grad():
        s_BTS = _solve(cell, start_BS, length, method)
    before_BTS = torch.cat((start_BS[:, None], s_BTS[:, :-1]), dim=1)
    y_BTS = cell.after(before_BTS)
    if not y_BTS.requires_grad:
        return y_BTS
    with torch.no_grad():
        jacobian = cell.linearised(before_BTS)[1]
    return _WholeGradient.apply(y_BTS, jacobian, cell.name, method)  # pyright: ignore


def _check_room(name: str, length: int, start_BS: Tensor) -> None:
    needed = start_BS.numel() * start_BS.shape[1] * length * start_BS.element_size()
    if needed > MOST_BYTES:
        raise UserError(
            f"{name} by 'newton' needs {start_BS.shape[1]} x {start_BS.shape[1]} numbers a "
            f"position, {needed / 2**30:.1f} GiB here (at most {MOST_BYTES / 2**30:.0f}): use "
            "quasi_newton, which needs a few a feature, or a smaller width, batch or length"
        )


def _solve(cell: SolvedCell, start_BS: Tensor, length: int, method: Method) -> Tensor:
    s_BTS = start_BS[:, None].repeat(1, length, 1)

    def one_round() -> float:
        before_BTS = torch.cat((start_BS[:, None], s_BTS[:, :-1]), dim=1)
        after_BTS, jacobian = cell.linearised(before_BTS)
        d_BTS = block_recurrence(jacobian.blocks(method), after_BTS - s_BTS)
        s_BTS.add_(d_BTS)
        lost_BTS = ~s_BTS.isfinite()
        scale_BT = s_BTS.abs().amax(2).clamp(min=1.0)
        change = float((d_BTS.abs().amax(2) / scale_BT).max())
        s_BTS.masked_fill_(lost_BTS, 0.0)  # positions before it are not touched by what overflowed
        return float("inf") if bool(lost_BTS.any()) else change

    _until_it_stands(one_round, cell.name, "forward", length, method, s_BTS.dtype)
    return s_BTS


class _WholeGradient(torch.autograd.Function):
    """y_BTS as it is; backwards, dy_t becomes g_t, the gradient through all later states too."""

    @staticmethod
    def forward(ctx: Any, y_BTS: Tensor, jacobian: Jacobian, name: str, method: Method) -> Tensor:
        ctx.jacobian, ctx.name, ctx.method = jacobian, name, method
        return y_BTS.view_as(y_BTS)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (dy_BTS,), jacobian = gradients, ctx.jacobian
        blocks_BTKNN = jacobian.blocks(ctx.method)
        g_BTS = torch.zeros_like(dy_BTS)
        if ctx.method == "newton":  # linear, and the blocks are all of J: one round is exact
            g_BTS = reversed_block_recurrence(blocks_BTKNN, dy_BTS)
            _record(Solve(ctx.name, "backward", dy_BTS.shape[1], 1, 0.0))
            return g_BTS, None, None, None

        def one_round() -> float:
            left_BTS = dy_BTS - g_BTS
            left_BTS[:, :-1] += jacobian.transposed_times(g_BTS)[:, 1:]
            d_BTS = reversed_block_recurrence(blocks_BTKNN, left_BTS)
            g_BTS.add_(d_BTS)
            scale = float(g_BTS.abs().max())
            return float(d_BTS.abs().max()) / scale if scale else 0.0

        place = (ctx.name, "backward", dy_BTS.shape[1], ctx.method, dy_BTS.dtype)
        _until_it_stands(one_round, *place)
        return g_BTS, None, None, None


def _until_it_stands(
    one_round: Callable[[], float],
    name: str,
    direction: Literal["forward", "backward"],
    length: int,
    method: Method,
    dtype: torch.dtype,
) -> None:
    """Rounds until the change is within the tolerance. Raises UserError where it never is."""
    change = float("inf")
    for rounds in range(1, MOST_ROUNDS[method] + 1):
        change = one_round()
        if change <= TOLERANCES[dtype]:
            _record(Solve(name, direction, length, rounds, change))
            return
    raise UserError(
        f"{name} by {method!r} did not converge: after {MOST_ROUNDS[method]} rounds over {length} "
        f"positions numbers still change by {change:.1e} (allowed {TOLERANCES[dtype]:.0e}), "
        f"because small differences do not fade from step to step: {_INSTEAD}"
    )


def _record(solve: Solve) -> None:
    for solves in _recorded:
        solves.append(solve)
