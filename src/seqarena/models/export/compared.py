"""What every export is held against: the model itself, at sizes that were never traced and from a
state that was carried over."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.models.export.graph import StepGraph
from seqarena.models.model import Model

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
TOLERANCE = 1e-5  # relative to the largest logit, or to 1
LENGTHS = (1, 2, 3, 7, 19)  # traced: 5
ROWS = (1, 3)  # traced: 2
CARRIED = (4, 9)  # positions of a first call and of one that continues it

Runner = Callable[..., Sequence[Tensor]]  # (inputs_BT, *state) -> (logits_BTV, *state)


def random_inputs(step: StepGraph, rows: int, length: int) -> Tensor:
    """Tokens [B, T] that the model knows, or features [B, T, F]; the same at each call."""
    draw = torch.Generator().manual_seed(rows * 1000 + length)
    if step.example.dim() == 2:
        return torch.randn(rows, length, step.example.shape[1], generator=draw)
    return torch.randint(step.vocabulary, (rows, length), generator=draw)


def largest_difference(model: Model, step: StepGraph, run: Runner) -> float:
    """Between the logits of `run` and the model's own, over all of these sizes, relative to the
    model's largest logit (at least 1). NaN counts as infinitely far."""
    worst = 0.0
    for rows in ROWS:
        for length in LENGTHS:
            inputs = random_inputs(step, rows, length)
            state = [one.initial(rows) for one in step.states]
            worst = max(worst, relative_difference(run(inputs, *state)[0], _own(model, inputs)))
        inputs = random_inputs(step, rows, sum(CARRIED))
        first, second = inputs.split(CARRIED, dim=1)
        _, *state = run(first, *(one.initial(rows) for one in step.states))
        found = run(second, *state)[0]
        worst = max(worst, relative_difference(found, _own(model, inputs)[:, CARRIED[0] :]))
    return worst


def check(what: str, difference: float) -> None:
    """Raises UserError, with the number, for a difference beyond the tolerance."""
    if not difference <= TOLERANCE:
        raise UserError(
            f"{what} differs from the model by {difference:.1e} of its largest logit, more than "
            f"{TOLERANCE:.0e}: it is not kept"
        )


def keep_if_equal(
    path: Path, suffix: str, write: Callable[[Path], None], difference: Callable[[Path], float]
) -> float:
    """Writes a file beside `path`, of that suffix, and moves it there where its largest difference
    from the model is small, which is returned. Raises as `check`; the file is then not kept."""
    fresh = path.with_name(f"{path.stem}.new{suffix}")
    try:
        write(fresh)
        found = difference(fresh)
        check(str(path), found)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return found


def _own(model: Model, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return model(inputs)[0]


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """The largest, relative to the largest expected number (at least 1); NaN is infinitely far."""
    distance = (found - expected).abs() / expected.abs().max().clamp(min=1.0)
    return float(distance.nan_to_num(nan=torch.inf).max())


def by_steps(step: StepGraph, inputs: Tensor) -> Tensor:
    """The logits after each position by the step's own graph in torch: [B, T, V]."""
    state = [one.initial(len(inputs), step.room or inputs.shape[1]) for one in step.states]
    found = []
    with torch.no_grad():
        for one in inputs.unbind(1):
            logits_BV, *state = step.module(one, *state)
            found.append(logits_BV)
    return torch.stack(found, dim=1)
