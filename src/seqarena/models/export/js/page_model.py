"""A causal text model as one JSON value: what a page needs to run it and to show its inside.

Weights are float32. Where that is too large, matrices are float16, and what that changes is
measured: the largest difference of the logits, relative to their largest. A test vector that torch
computed from the same weights goes with it; the page runs it before it answers.
"""

import base64
import json
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.core.words import with_unit
from seqarena.models.export import compared
from seqarena.models.export.c.operators import c_type
from seqarena.models.export.c.source import initial
from seqarena.models.export.c.weights import ConstantArrays, matrix_constants
from seqarena.models.export.graph import StepGraph, step_graph
from seqarena.models.export.js.program import SCALARS, JSProgram
from seqarena.models.export.js.tracks import tracks_of
from seqarena.models.model import Model

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
ROOM = 512  # positions that a page reads, and that a growing cache has room for
_BASE64 = 4 / 3  # signs a byte
_TESTED = 12  # positions of the test vector
_MOST_ROUNDING = 0.05  # by float16


class PageModel(NamedTuple):
    """`data` is JSON. `rounding`: the largest difference that float16 made, 0 for float32."""

    data: str
    rounding: float
    step: StepGraph


def page_model(model: Model, *, room: int = ROOM, most_bytes: float = float("inf")) -> PageModel:
    """`model` for a page, at most so many bytes large: in float32, else in float16.

    Raises UserError for a model that has no step or an operator that does not run in a page, and
    for one that is too large.
    """
    if model.problem.features:
        raise UserError("it reads features and no text")
    halved = model.num_parameters * _BASE64 * 2  # bytes, of weights alone
    if halved > most_bytes:
        raise _too_large(model, halved, most_bytes)
    most = model.most_positions
    room = room if most is None else min(most, room)
    step = step_graph(model, rows=1, room=room)
    if 2 * halved <= most_bytes and len(found := _model(step, room)) <= most_bytes:
        return PageModel(found, 0.0, step)
    inputs = compared.random_inputs(step, 1, min(_TESTED, room))
    exact = compared.by_steps(step, inputs)
    _round_matrices(step)
    found = _model(step, room)
    if len(found) > most_bytes:
        raise _too_large(model, len(found), most_bytes)
    distance = (compared.by_steps(step, inputs) - exact).abs().max()
    rounding = float(distance / exact.abs().max().clamp(min=1.0))
    if not rounding <= _MOST_ROUNDING:  # also where it is NaN
        raise UserError(
            f"in float32 it is too large, and in float16 its answers change by {rounding:.1g} of "
            "the largest logit"
        )
    return PageModel(found, rounding, step)


def _too_large(model: Model, size: float, most_bytes: float) -> UserError:
    enough = math.ceil(size / 1e5) / 10 + 0.2  # MB, with the graph
    return UserError(
        f"its {with_unit(model.num_parameters, 'count')} parameters take {size / 1e6:.1f} MB in "
        f"float16, and the page has {max(0.0, most_bytes) / 1e6:.1f} MB for models that run "
        f"(seqarena report FOLDER --live-megabytes {enough:.1f} makes room)"
    )


def _model(step: StepGraph, room: int) -> str:
    weights = ConstantArrays(step, "float32")
    program = JSProgram(step, weights)
    tracks = tracks_of(step, program)
    tokens = compared.random_inputs(step, 1, min(_TESTED, room))
    states = [
        {
            "name": s.name,
            "buffer": f"state->{s.name}",
            "grows": s.grows is not None,
            **_array(initial(s, step)),
        }
        for s in step.states
    ]
    value = {
        "room": room,
        "buffers": [[name, kind[0], size] for name, (kind, size) in program.buffers.items()],
        "scalars": [_number(x) for x in program.scalars],
        "weights": [{"buffer": array.name, **_array(array.values)} for array in weights.arrays],
        "states": states,
        "outputs": step.vocabulary,
        "code": program.instructions,
        "tracks": [track._asdict() for track in tracks],
        "test": {
            "tokens": tokens[0].tolist(),
            "logits": _array(compared.by_steps(step, tokens)[0, -1]),
        },
    }
    assert SCALARS not in program.buffers
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _number(value: float) -> float | str:
    """JSON has no infinity: JavaScript reads it from a text."""
    return value if math.isfinite(value) else str(value).replace("inf", "Infinity")


def _array(values: Tensor) -> dict[str, Any]:
    """Numbers as base64, little-endian: i int32; h float16 where that has all of them; else f
    float32. Of many equal ones there is one."""
    flat = values.detach().flatten()
    if c_type(values.dtype) == "int32_t":
        kind, array = "i", flat.clamp(-(2**31) + 1, 2**31 - 1).numpy().astype("<i4")
    elif torch.equal(flat.half().float(), flat):
        kind, array = "h", flat.numpy().astype("<f2")
    else:
        kind, array = "f", flat.numpy().astype("<f4")
    size = len(array)
    if size > 1 and np.all(array == array[0]):
        array = array[:1]
    return {"kind": kind, "size": size, "data": base64.b64encode(array.tobytes()).decode()}


def _round_matrices(step: StepGraph) -> None:
    """Writes into each matrix of a product, and each table, the nearest numbers of float16."""
    with torch.no_grad():
        for name in matrix_constants(step.module):
            tensor = getattr(step.module, name)
            tensor.copy_(tensor.half().float())
