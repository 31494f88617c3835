"""Graphs of models that read their whole input before they answer, and of models that write from a
whole source.

    whole_graph    (input, lengths, ...) -> logits
    pair_graphs    encoder  (source, lengths) -> state
                   step     (input_B, *state) -> logits, *state

Rows come right-padded; `lengths` says how many positions of each are real. Rows and positions are
free. Sizes that a picture fixes are fixed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError, one_line
from seqarena.core.shapes import lengths_to_mask
from seqarena.models.export.graph import needed_states, reduced
from seqarena.models.export.step import name_of_leaf
from seqarena.models.export.tracing import LENGTH, LETTERS, ROOM, ROWS, traced
from seqarena.models.export.whole.loops import Body
from seqarena.models.export.whole.traceable import traceable
from seqarena.models.model import Model
from seqarena.ops.extent import uncut

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_SMALL = {"rows": 2, "length": 5, "letters": 4, "past": 3}
_HINTS = {"rows": ROWS, "length": LENGTH, "letters": LETTERS, "past": ROOM}


class Port(NamedTuple):
    """A tensor that goes in: its name, its type, and its axes: a number, or the name of a size."""

    name: str
    dtype: torch.dtype
    axes: tuple[int | str, ...]

    def empty(self, **sizes: int) -> Tensor:
        """A tensor of these sizes, unfilled."""
        shape = [n if isinstance(n, int) else sizes[n] for n in self.axes]
        return torch.empty(shape, dtype=self.dtype)

    def zeros(self, **sizes: int) -> Tensor:
        """Zeros of these sizes."""
        return self.empty(**sizes).zero_()


class WholeGraph(NamedTuple):
    """Tensors in, by `inputs`, and tensors out, by `outputs`."""

    module: fx.GraphModule
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    bodies: tuple[Body, ...]  # of its loops, which live as long as this
    model: Model  # the copy whose parameters the graph holds

    def examples(self) -> list[Tensor]:
        """Zeros for each port, of sizes that differ from one another; every position is real."""
        zeros = [port.zeros(**_SMALL) for port in self.inputs]
        return [
            x + _SMALL["length"] if port.name == "lengths" else x
            for x, port in zip(zeros, self.inputs, strict=True)
        ]


class PairGraphs(NamedTuple):
    """`step` reads what `encoder` gives, under the same names, and gives `next_NAME` of what
    changes from one position to the next."""

    encoder: WholeGraph
    step: WholeGraph


def whole_graph(model: Model) -> WholeGraph:
    """Raises UserError for a model that cannot be traced, with the reason."""
    bodies: list[Body] = []
    own = traceable(model, bodies)
    inputs = ports(model.problem)

    def call(*given: Tensor) -> tuple[Tensor]:
        return (own.answer(batch_of(model.problem, *given)),)

    return _graph(call, inputs, ("logits",), bodies, own)


def pair_graphs(model: Model) -> PairGraphs:
    """Raises UserError for a model that cannot be traced, with the reason."""
    bodies: list[Body] = []
    own = traceable(model, bodies)
    state = _WriterState(own)
    inputs = (Port("source", torch.int64, ("rows", "length")), _LENGTHS)

    def encode(source_BS: Tensor, lengths_B: Tensor) -> tuple[Tensor, ...]:
        return state.tensors(own.begin(_source(source_BS, lengths_B)), len_of=source_BS)

    def step(input_B: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        logits_BV, after = own.step(input_B, state.filled(tensors))
        return logits_BV, *state.tensors(after, len_of=input_B, before=tensors)

    encoder = _graph(encode, inputs, state.names, bodies, own)
    after = tuple(f"next_{name}" for name in state.names)
    ports_in = (Port("input", torch.int64, ("rows",)), *state.ports)
    writer = _graph(step, ports_in, ("logits", *after), bodies, own)
    return _without_what_stays(encoder, writer)


_LENGTHS = Port("lengths", torch.int64, ("rows",))


def ports(problem: Problem) -> tuple[Port, ...]:
    """What a model of that problem reads."""
    length = problem.image[0] * problem.image[1] if problem.image is not None else "length"
    features = (problem.features,) if problem.features else ()
    dtype = torch.float32 if problem.features else torch.int64
    found = [Port("input", dtype, ("rows", length, *features))]
    if problem.image is not None:
        return tuple(found)
    found.append(_LENGTHS)
    if problem.num_segments:
        found.append(Port("segments", torch.int64, ("rows", length)))
    if problem.num_characters:
        found.append(Port("characters", torch.int64, ("rows", length, "letters")))
    if problem.categories:
        found.append(Port("categories", torch.int64, ("rows", length, len(problem.categories))))
    return tuple(found)


def batch_of(problem: Problem, *given: Tensor) -> Batch:
    """A batch of what the ports of the problem take."""
    tensors = {port.name: tensor for port, tensor in zip(ports(problem), given, strict=True)}
    inputs, lengths_B = tensors["input"], tensors.get("lengths")
    return Batch(
        inputs_BT=inputs,
        targets_BT=inputs.new_zeros(1, dtype=torch.int64),  # an answer does not read them
        mask_BT=None if lengths_B is None else lengths_to_mask(lengths_B, inputs.shape[1]),
        segments_BT=tensors.get("segments"),
        characters_BTC=tensors.get("characters"),
        categories_BTC=tensors.get("categories"),
    )


def _source(source_BS: Tensor, lengths_B: Tensor) -> Batch:
    real_BS = lengths_to_mask(lengths_B, source_BS.shape[1])
    nothing = source_BS[:, :0]
    return Batch(nothing, nothing, source_BS=source_BS, source_mask_BS=real_BS)


def _graph(
    call: Callable[..., Any],
    inputs: tuple[Port, ...],
    outputs: tuple[str, ...],
    bodies: list[Body],
    model: Model,
) -> WholeGraph:
    examples = [port.empty(**_HINTS) for port in inputs]
    free = [{i for i, n in enumerate(port.axes) if isinstance(n, str)} for port in inputs]
    try:
        with uncut():
            module = reduced(traced(call, examples, free))  # pyright: ignore[reportArgumentType]
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{type(model).__name__} cannot be traced: {one_line(error)[:200]}"
        ) from error
    nodes = [node for node in module.graph.nodes if node.op == "placeholder"]
    for node, port in zip(nodes, inputs, strict=True):
        node.name = node.target = f"in_{port.name}"
    module.recompile()
    return WholeGraph(module, inputs, outputs, tuple(bodies), model)


class _WriterState:
    """The state of a model that writes, as a list of named tensors: what `begin` gives. Whole
    numbers in it count positions: they are the size of a cache that grows, or a counter [B]."""

    def __init__(self, model: Model) -> None:
        begun = [_begun(model, rows, length) for rows, length in ((2, 5), (3, 7))]
        with torch.no_grad(), uncut():
            _, after = model.step(torch.zeros(2, dtype=torch.int64), _begun(model, 2, 5))
        flat, self._structure = pytree.tree_flatten_with_path(begun[0])
        self._leaves = [leaf for _, leaf in flat]
        self._places: list[int] = []
        found: list[Port] = []
        others, afters = pytree.tree_leaves(begun[1]), pytree.tree_leaves(after)
        for place, (path, leaf) in enumerate(flat):
            if isinstance(leaf, Tensor):
                axes = _named_axes(leaf.shape, others[place].shape, afters[place].shape)
                found.append(Port(name_of_leaf(path), leaf.dtype, axes))
                self._places.append(place)
        self._grown = next(
            ((i, p.axes.index("past")) for i, p in enumerate(found) if "past" in p.axes), None
        )
        self._counts = self._grown is None and any(isinstance(x, int) for x in self._leaves)
        if self._counts:
            found.append(Port("position", torch.int64, ("rows",)))
        self.ports = tuple(found)
        self.names = tuple(port.name for port in found)

    def tensors(
        self, state: Any, *, len_of: Tensor, before: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, ...]:
        """Those of a state, in order. `before` are those of the position before, if any."""
        leaves = pytree.tree_leaves(state)
        found = tuple(leaves[place] for place in self._places)
        if not self._counts:
            return found
        zero_B = torch.zeros(len_of.shape[0], dtype=torch.int64)
        return *found, (before[-1] + 1 if before else zero_B)

    def filled(self, tensors: tuple[Tensor, ...]) -> Any:
        """The state of those tensors."""
        leaves = list(self._leaves)
        for place, tensor in zip(self._places, tensors):
            leaves[place] = tensor
        position: Any = tensors[-1]
        if self._grown is not None:
            position = tensors[self._grown[0]].shape[self._grown[1]]
        leaves = [position if isinstance(leaf, int) else leaf for leaf in leaves]
        return pytree.tree_unflatten(leaves, self._structure)


def _begun(model: Model, rows: int, length: int) -> Any:
    source_BS = torch.full((rows, length), 3)
    with torch.no_grad(), uncut():
        return model.begin(_source(source_BS, torch.full((rows,), length)))


def _named_axes(shape: torch.Size, other: torch.Size, after: torch.Size) -> tuple[int | str, ...]:
    """Of a leaf of 2 rows and 5 source positions, that of 3 and 7, and that of a position more."""
    names = {(2, 3, 2): "rows", (5, 7, 5): "length", (0, 0, 1): "past"}
    return tuple(names.get(sizes, sizes[0]) for sizes in zip(shape, other, after, strict=True))


def _without_what_stays(encoder: WholeGraph, step: WholeGraph) -> PairGraphs:
    """A state that a step only reads, such as the source, does not come out of it; one on which no
    answer depends goes nowhere."""
    graph = step.module.graph
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    output = next(node for node in graph.nodes if node.op == "output")
    results: Any = output.args[0]
    kept = sorted(needed_states(step.module))
    moved = [i for i in kept if results[i] is not inputs[i]]
    output.args = (tuple(results[i] for i in moved),)
    graph.eliminate_dead_code()
    for i, node in enumerate(inputs):
        if i not in kept:
            graph.erase_node(node)
    step.module.recompile()
    step = step._replace(
        inputs=tuple(step.inputs[i] for i in kept), outputs=tuple(step.outputs[i] for i in moved)
    )
    own = next(node for node in encoder.module.graph.nodes if node.op == "output")
    given: Any = own.args[0]
    own.args = (tuple(given[i - 1] for i in kept[1:]),)
    encoder.module.graph.eliminate_dead_code()
    encoder.module.recompile()
    names = tuple(encoder.outputs[i - 1] for i in kept[1:])
    return PairGraphs(encoder._replace(outputs=names), step)
