"""How gradients and influence reach back: curves against the distance, and against the depth.

    of="loss"    ||d loss_T / d e_(T-k)||: every architecture (measure/flow/flow.py)
    of="state"   ||d s_T / d s_(T-k)||: every model whose state keeps its size

Both are relative to k = 0, where they are 1. For an Elman network h_t = f(W x_t + U h_(t-1) + b),
    d h_T / d h_(T-k) = product over k steps of diag(f') U
so that with |f'| <= 1 its spectral norm is at most sigma^k, sigma the largest singular value of U.
Introductory texts write lambda^k with lambda the recurrent weight times a typical slope f'; here
that is the spectral radius of U times the mean slope of the very run (Pascanu, Mikolov & Bengio
2013, "On the difficulty of training recurrent neural networks", section 2.1).

Everything is computed in float64, so that 10^-100 is still a number.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch, map_batch, random_batch
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.measure.flow.flow import GradientFlow, loss_flow, receptive_field, state_flow
from seqarena.measure.flow.gates import hold_gates
from seqarena.measure.subject import Subject, subject
from seqarena.models.combinations import whole_depth
from seqarena.models.model import Model, load_system

_PLENTY = 128  # positions for what sees all of them
_DEPTH_OPTIONS = ("layers", "layers_per_cycle", "decoder_sets", "decoder_layers", "hops")


def gradient_flow_series(
    architecture: str,
    *,
    length: int = 128,
    width: int = 64,
    params: int | None = None,
    depth: int = 1,
    options: dict[str, Any] | None = None,
    variant: str = "",
    checkpoint: str | None = None,
    seeds: int = 3,
    of: str = "loss",
    spectral_radius: float | None = None,
    assumed_slope: float | None = None,
    held_gates: bool = False,
) -> list[Series]:
    """One curve: `gradient_norm` by `distance` k = 0 .. length - 1, relative to k = 0. A repeat is
    one seed of the weights and of the random tokens; of a checkpoint, of the tokens alone.

    `spectral_radius` rescales an Elman network's recurrent matrix. `assumed_slope` adds the line
    that a text draws: (spectral radius times that slope)^k. `held_gates` leaves an LSTM's gates
    their biases alone (gates.py). Raises UserError where there is no such state, matrix, layer or
    sequence.
    """
    if of not in ("loss", "state"):
        raise UserError(f'of={of!r}: the gradient is of the "loss" or of the "state"')
    chosen = subject(
        architecture, variant=variant, checkpoint=checkpoint, width=width, params=params,
        depth=depth, options=options,
    )  # fmt: skip
    found, lines, draws = [], [], None
    for seed in range(_at_least_one(seeds)):
        batch, model = _example(chosen, length, seed), _double(chosen, length, seed)
        if spectral_radius is not None:
            _rescale(model, spectral_radius)
        if held_gates:
            hold_gates(model)
        if of == "loss":
            flow = loss_flow(model, batch)
        else:
            flow, draws = state_flow(_continued(model, architecture), batch.inputs_BT[0], seed=seed)
            lines.append(_lines(model, batch.inputs_BT, assumed_slope))
        found.append(_relative(flow.norms_T))
    return [
        Series(
            measurement="gradient flow",
            quantity="gradient_norm",
            axis="distance",
            architecture=chosen.row.name,
            variant=chosen.variant,
            points=_points(range(len(found[0])), found),
            baselines=_powers(lines, len(found[0])),
            settings={
                **chosen.settings(length),
                "of": of,
                "relative_to": "distance 0",
                "length": length,
                "seeds": seeds,
                "options": options or {},
                "inputs": "random",
                "spectral_radius": spectral_radius,
                "projections": draws,
                **({"gates": "held"} if held_gates else {}),
                **{name: [line[name] for line in lines] for name in (lines[0] if lines else ())},
            },
            machine=this_machine(dtype="float64"),
        )
    ]


def gradient_flow_of(model: Model, inputs: Tensor | Batch, *, of: str = "loss") -> GradientFlow:
    """The same of a model at hand, trained or not, on tokens [T] or a batch of one example.
    The model is left as it was."""
    if of == "loss":
        return loss_flow(model, inputs)
    tokens_T = inputs.inputs_BT[0] if isinstance(inputs, Batch) else inputs
    return state_flow(_continued(model, type(model).__name__), tokens_T)[0]


def clipping_series(
    architecture: str = "elman",
    *,
    lengths: Sequence[int] = (8, 16, 32, 64, 128),
    width: int = 64,
    params: int | None = None,
    depth: int = 1,
    options: dict[str, Any] | None = None,
    variant: str = "",
    spectral_radius: float | None = 2.0,
    clip_norm: float = 1.0,
    seeds: int = 3,
) -> list[Series]:
    """What clipping the gradient's norm does (Pascanu et al. 2013, section 3.2), on the loss of the
    last answer: `total_gradient_norm` over all parameters by `length`, before and after clipping,
    and `gradient_norm` by `distance` at the longest, times the factor that clipping scaled by.

    Clipping bounds the first; it scales every distance alike, so that the second keeps its shape.
    """
    chosen = subject(
        architecture, variant=variant, width=width, params=params, depth=depth, options=options
    )
    before: list[list[float]] = []
    after: list[list[float]] = []
    curves: list[tuple[np.ndarray, np.ndarray]] = []
    for seed in range(_at_least_one(seeds)):
        totals = []
        for length in lengths:
            model, batch = _double(chosen, length, seed), _example(chosen, length, seed)
            if spectral_radius is not None:
                _rescale(model, spectral_radius)
            flow = loss_flow(model, batch, parameters=True)
            total = torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            clipped = torch.nn.utils.get_total_norm(
                [p.grad for p in model.parameters() if p.grad is not None]
            )
            totals.append((float(total), float(clipped), flow.norms_T))
        before.append([total for total, _, _ in totals])
        after.append([clipped for _, clipped, _ in totals])
        total, clipped, norms_T = totals[-1]
        curves.append((norms_T, norms_T * clipped / total))
    settings = {
        **chosen.settings(max(lengths)), "clip_norm": clip_norm, "seeds": seeds,
        "spectral_radius": spectral_radius, "options": options or {}, "length": lengths[-1],
    }  # fmt: skip
    machine = this_machine(dtype="float64")

    def series(quantity: str, axis: str, x: Any, found: Any, when: str) -> Series:
        return Series(
            measurement="clipping",
            quantity=quantity,
            axis=axis,
            architecture=chosen.row.name,
            variant=", ".join(filter(None, (variant, when))),
            points=_points(x, found),
            baselines={"clip norm": (clip_norm,) * len(lengths)} if axis == "length" else {},
            settings=settings,
            machine=machine,
        )

    unclipped, scaled = zip(*curves)
    distances = range(len(unclipped[0]))
    return [
        series("total_gradient_norm", "length", lengths, before, "before clipping"),
        series("total_gradient_norm", "length", lengths, after, "after clipping"),
        series("gradient_norm", "distance", distances, unclipped, "before clipping"),
        series("gradient_norm", "distance", distances, scaled, "after clipping"),
    ]


def receptive_field_series(
    architecture: str,
    *,
    depths: Sequence[int] = (1, 2, 4),
    length: int | None = None,
    width: int = 32,
    params: int | None = None,
    options: dict[str, Any] | None = None,
    variant: str = "",
    seeds: int = 1,
) -> list[Series]:
    """`reach_positions` by `depth`: how far back the last answer sees, by perturbation, at most
    length - 1. The baseline "formula" is what the layers state, where they do, again at most
    length - 1. A system whose paper fixes its depth gets one point, at 1, and a hybrid none below
    its pattern of layers. `length` None is one more position than the formula's reach, or 128
    where that has no end.

    A reach below the formula's says that what is left of the farthest input is lost in the rounding
    of float64: it has been forgotten, not shut out.
    """
    base = subject(
        architecture, variant=variant, width=width, params=params, depth=1, options=options
    )
    option = _depth_option(base)
    fixed = base.row.system is not None and option is None
    points, formula, lengths = [], [], []
    depths = sorted({max(depth, whole_depth(base.row, 1)) for depth in depths})
    for depth in (1,) if fixed else depths:
        chosen = subject(
            architecture, variant=variant, width=width, params=params, depth=depth,
            options={**(options or {}), option: depth} if option else options,
        )  # fmt: skip
        reaches = []
        stated = chosen.build(length or _PLENTY).reach()
        here = length or (int(stated) + 2 if stated is not None and stated < np.inf else _PLENTY)
        for seed in range(_at_least_one(seeds)):
            model, batch = _double(chosen, here, seed), _example(chosen, here, seed)
            reaches.append(receptive_field(model, batch, chosen.vocab_size))
        lengths.append(_positions(batch))
        points.append(Point(x=depth, repeats=tuple(map(float, reaches))))
        formula.append(stated if stated is None else float(min(stated, lengths[-1] - 1)))
    known = [reach for reach in formula if reach is not None]
    return [
        Series(
            measurement="receptive field",
            quantity="reach_positions",
            axis="depth",
            architecture=base.row.name,
            variant=base.variant,
            points=tuple(points),
            baselines={"formula": tuple(known)} if len(known) == len(points) else {},
            settings={
                **base.settings(max(lengths)), "depth": "fixed" if fixed else list(depths),
                "lengths": lengths, "seeds": seeds, "options": options or {},
            },
            machine=this_machine(dtype="float64"),
        )
    ]  # fmt: skip


def _double(chosen: Subject, length: int, seed: int) -> Model:
    return chosen.build(length, seed=seed).double()


def _example(chosen: Subject, length: int, seed: int) -> Batch:
    problem = chosen.problem(length)
    if problem.image is not None:
        length = problem.max_length  # a picture is whole or none
    source = min(length, problem.max_source_length or length)
    problem = problem.model_copy(update={"max_source_length": source})
    batch = random_batch(problem, 1, length=length, seed=seed)
    return map_batch(lambda x: x.double() if x.is_floating_point() else x, batch)


def _positions(batch: Batch) -> int:
    return (batch.inputs_BT if batch.source_BS is None else batch.source_BS).shape[1]


def _continued(model: Model, name: str) -> Model:
    """The model, where it can be stepped from a state of fixed size."""
    if not model.writes or model.problem.form == "pairs":
        raise UserError(f'{name} has no state to continue from: ask for of="loss"')
    if not model.carries:
        raise UserError(f'the state of {name} grows with every position: ask for of="loss"')
    return model


def _recurrent(model: Model) -> list[Any]:
    """The Elman layers."""
    return [m for m in model.modules() if isinstance(getattr(m, "recurrent_EE", None), Tensor)]


@torch.no_grad()
def _rescale(model: Model, spectral_radius: float) -> None:
    layers = _recurrent(model)
    if not layers:
        raise UserError("spectral_radius is of an Elman network: this model has no such matrix")
    for layer in layers:
        layer.recurrent_EE.mul_(spectral_radius / _radius(layer.recurrent_EE))


def _radius(matrix: Tensor) -> float:
    return float(torch.linalg.eigvals(matrix.double()).abs().max())


@torch.no_grad()
def _lines(model: Model, tokens_BT: Tensor, assumed_slope: float | None) -> dict[str, float]:
    """What a single Elman layer's matrix and slopes say; nothing of any other model."""
    layers = _recurrent(model)
    if len(layers) != 1:
        return {}
    (layer,), caught = layers, []
    handle = layer.register_forward_hook(lambda _, __, found: caught.append(found[0]))
    try:
        model.answer(Batch(tokens_BT, tokens_BT))
    finally:
        handle.remove()
    h_BTE = caught[0]
    relu = layer.settings.nonlinearity == "relu"
    slope = float(((h_BTE > 0).double() if relu else 1 - h_BTE.square()).mean())
    radius = _radius(layer.recurrent_EE)
    assumed = {} if assumed_slope is None else {"assumed lambda": radius * assumed_slope}
    return {
        "lambda": radius * slope,
        "mean slope": slope,
        "spectral radius": radius,
        "spectral norm": float(torch.linalg.matrix_norm(layer.recurrent_EE, 2)),
        **assumed,
    }


def _powers(lines: list[dict[str, float]], length: int) -> dict[str, tuple[float, ...]]:
    """The lines rate^k; of several seeds the mean rate, of the bound the largest."""
    if not lines:
        return {}
    rates = {
        f"{name}^k": float(
            (np.max if name == "spectral norm" else np.mean)([x[name] for x in lines])
        )
        for name in lines[0]
        if name != "mean slope"
    }
    return {name: tuple(rate**k for k in range(length)) for name, rate in rates.items()}


def _relative(norms_T: np.ndarray) -> np.ndarray:
    if norms_T[0] == 0 or not np.isfinite(norms_T[0]):
        raise UserError(
            "nothing at distance 0 to compare with: the answer does not depend on the last input"
        )
    return norms_T / norms_T[0]


def _points(x: Any, found: Sequence[Sequence[float] | np.ndarray]) -> tuple[Point, ...]:
    """One point an x; `found` holds one list a seed."""
    return tuple(
        Point(x=float(place), repeats=tuple(float(values[i]) for values in found))
        for i, place in zip(count(), x)
    )


def _at_least_one(seeds: int) -> int:
    if seeds < 1:
        raise UserError(f"seeds={seeds}: at least one is needed")
    return seeds


def _depth_option(chosen: Subject) -> str | None:
    """What a system calls its depth; None of a stack, and where the paper fixes it."""
    if chosen.row.system is None:
        return None
    fields = load_system(chosen.row.system).Options.model_fields
    return next((name for name in _DEPTH_OPTIONS if name in fields), None)
