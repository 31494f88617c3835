"""The graph of a causal model over any number of positions that continue a state.

    (input [rows, length], *state)  ->  (logits [rows, length, V], *state)

It computes what a `Scan` over the step does (onnx_graph.py), layer by layer: products and attention
over all positions at once, and only what walks along time walks. A prompt is read so in a fraction
of the time. Caches come in as long as what was read and leave longer.
"""

from typing import Any, cast

from torch import Tensor
from torch.utils import _pytree as pytree

from seqarena.core.errors import UserError, one_line
from seqarena.models.export.graph import StepGraph, reduced, without_idle_states
from seqarena.models.export.simplified import simplified
from seqarena.models.export.step import StepModule, why_no_step
from seqarena.models.export.tracing import LENGTH, ROOM, ROWS, traced
from seqarena.models.export.whole.graph import Port, WholeGraph
from seqarena.models.export.whole.loops import Body
from seqarena.models.export.whole.traceable import traceable
from seqarena.models.model import Model
from seqarena.ops.extent import uncut

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class _Continued(StepModule):
    """Several positions of a model."""

    def forward(self, input_BT: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        leaves = [self._empty(leaf, input_BT.shape[0]) for leaf in self._leaves]
        for place, tensor in zip(self._places, state, strict=True):
            leaves[place] = tensor
        read = [x.shape[s.grows] for s, x in zip(self.states, state) if s.grows is not None]
        leaves = [read[0] if isinstance(leaf, int) else leaf for leaf in leaves]
        before = pytree.tree_unflatten(leaves, self._structure)
        logits_BTV, after = cast("Any", self.model)(input_BT, before)
        found = pytree.tree_leaves(after)
        return logits_BTV, *(found[place] for place in self._places)


def continued_graph(model: Model) -> tuple[WholeGraph, StepGraph]:
    """The graph, and its states. Raises UserError for a model that has none, with the reason."""
    reason = why_no_step(model)
    if reason is not None:
        raise UserError(f"{type(model).__name__} has no step: {reason}")
    bodies: list[Body] = []
    try:
        module = _Continued(traceable(model, bodies), 8)
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
    own = simplified(step.module, small)
    features = (module.features,) if module.features else ()
    ports = [Port("input", example.dtype, ("rows", "length", *features))]
    for state in step.states:
        axes: list[int | str] = ["rows", *state.like.shape[1:]]
        if state.grows is not None:
            axes[state.grows] = "past"
        ports.append(Port(state.name, state.like.dtype, tuple(axes)))
    outputs = ("logits", *(f"next_{state.name}" for state in step.states))
    model_copy = cast("Model", module.model)
    return WholeGraph(own, tuple(ports), outputs, tuple(bodies), model_copy), step
