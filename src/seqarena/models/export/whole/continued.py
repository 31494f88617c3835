"""The graph of a causal model over any number of positions that continue a state.

    (input [rows, length], *state)  ->  (logits [rows, length, V], *state)

It computes what the step does (step.py), layer by layer: products and attention over all positions
at once, and only what walks along time walks (loops.py). Caches come in as long as what was read
and leave longer.
"""

from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor
from torch.utils import _pytree as pytree

from seqarena.core.errors import UserError, one_line
from seqarena.models.export.graph import StepGraph, reduced, without_idle_states
from seqarena.models.export.simplified import simplified
from seqarena.models.export.step import ROOM as ROOM_OF_A_STEP
from seqarena.models.export.step import StepModule, prepared_copy, why_no_step
from seqarena.models.export.tracing import LENGTH, ROOM, ROWS, traced
from seqarena.models.export.whole.graph import Port, WholeGraph
from seqarena.models.export.whole.loops import Body, over_time
from seqarena.models.export.whole.traceable import traceable
from seqarena.models.model import Model
from seqarena.models.stacks.language_model import TokenModel
from seqarena.ops.extent import uncut

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class _Continued(StepModule):
    """Several positions of a model."""

    def forward(self, input_BT: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        leaves = [self._empty(leaf, input_BT.shape[0]) for leaf in self._leaves]
        for place, one, tensor in zip(self._places, self.states, state, strict=True):
            leaves[place] = _with_room(tensor, one.grows, input_BT.shape[1])
        read = [x.shape[s.grows] for s, x in zip(self.states, state) if s.grows is not None]
        leaves = [read[0] if isinstance(leaf, int) else leaf for leaf in leaves]
        before = pytree.tree_unflatten(leaves, self._structure)
        logits_BTV, after = cast("Any", self.model)(input_BT, before)
        found = pytree.tree_leaves(after)
        return logits_BTV, *(found[place] for place in self._places)


class _Walked(StepModule):
    """A system of its own wiring, which walks by its step."""

    def __init__(self, model: Model, room: int, keep: list[Body]) -> None:
        super().__init__(prepared_copy(model), room)
        self._keep = keep

    def forward(self, input_BT: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        def step(carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]) -> Any:
            logits_BV, *after = StepModule.forward(self, timed[0], *carried)
            return after, [logits_BV]

        after, (logits_BTV,) = over_time(step, list(state), [input_BT], keep=self._keep)
        return logits_BTV, *after


def continued_graph(model: Model) -> tuple[WholeGraph, StepGraph]:
    """The graph, and its states. Raises UserError for a model that has none, with the reason."""
    reason = why_no_step(model)
    if reason is not None:
        raise UserError(f"{type(model).__name__} has no step: {reason}")
    bodies: list[Body] = []
    try:
        if isinstance(model, TokenModel):
            module = _Continued(traceable(model, bodies), ROOM_OF_A_STEP)
        else:
            module = _Walked(model, ROOM_OF_A_STEP, bodies)
        inputs = [module.example_input(ROWS, LENGTH)]
        inputs += [state.unfilled(ROWS, ROOM) for state in module.states]
        free: list[set[Any]] = [{0, 1}, *({0, s.grows} for s in module.states)]
        with uncut():
            found = reduced(traced(module, inputs, free))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{type(model).__name__} cannot be traced: {one_line(error)}") from error
    example = module.example_input(2)
    step = without_idle_states(StepGraph(found, tuple(module.states), example, module.model, None))
    small = [module.example_input(3, 5), *(state.initial(3, 7) for state in step.states)]
    caches = {state.name: state.grows for state in step.states if state.grows is not None}
    own = simplified(step.module, small, caches)
    outputs = ("logits", *(f"next_{state.name}" for state in step.states))
    model_copy = cast("Model", module.model)
    return WholeGraph(own, _ports(step), outputs, tuple(bodies), model_copy), step


def _ports(step: StepGraph) -> tuple[Port, ...]:
    ports = [Port("input", step.example.dtype, ("rows", "length", *step.example.shape[1:]))]
    for state in step.states:
        axes: list[int | str] = ["rows", *state.like.shape[1:]]
        if state.grows is not None:
            axes[state.grows] = "past"
        ports.append(Port(state.name, state.like.dtype, tuple(axes)))
    return tuple(ports)


def _with_room(x: Tensor, axis: int | None, length: int) -> Tensor:
    """A cache with zeros for the positions that come."""
    if axis is None:
        return x
    return F.pad(x, [0, 0] * (x.dim() - 1 - axis) + [0, length])
