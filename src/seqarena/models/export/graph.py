"""The step as a small graph: real numbers alone, and only what depends on the input and the state.

    model -> StepModule (step.py) -> make_fx -> StepGraph

Tracing gives core ATen operators. What depends on the parameters alone is computed here, once (a
discretised state matrix, say). Complex numbers, which neither ONNX nor C has, become pairs of real
ones by the rules below. States that nothing reads are dropped.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from seqarena.core.errors import UserError
from seqarena.models.export.pairs import ComplexPair, is_complex, on_pairs
from seqarena.models.export.step import StateTensor, StepModule, step_module
from seqarena.models.export.tracing import ROOM, ROWS, traced
from seqarena.models.model import Model

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
_NOTES = (aten._assert_tensor_metadata.default, aten._assert_scalar.default)
# strides are not kept
_ANY_LAYOUT = {aten.view.default: aten.reshape.default}
_SAME = (aten.alias.default, aten.clone.default, aten.detach.default)


class StepGraph(NamedTuple):
    """(input_B, *state) -> (logits_BV, *state), where the states are `states`, in order."""

    module: fx.GraphModule
    states: tuple[StateTensor, ...]
    example: Tensor  # an input [2], or [2, F]
    model: nn.Module  # the copy whose parameters the graph holds
    room: int | None  # positions of the caches that grow; None: any number

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows; of pairs, of source and target together."""
        model: Any = self.model
        return getattr(model.config, "vocab_size", 0) or model.problem.vocab_size


def step_graph(model: Model, *, rows: int | None = None, room: int = 8) -> StepGraph:
    """The graph of one step. `rows` None: any number of rows, and caches of any size; else of just
    so many rows, and caches of `room` positions.

    Raises UserError for a model that has none, and for one that cannot be traced.
    """
    step = step_module(model, room)
    try:
        found = _traced(step, rows, room)
    except UserError:
        raise
    except Exception as error:
        what = str(error).strip().splitlines()
        raise UserError(
            f"{type(model).__name__} cannot be traced: {what[0] if what else type(error).__name__}"
        ) from error
    module = reduced(found)
    graph = StepGraph(
        module,
        tuple(step.states),
        step.example_input(2),
        step.model,
        None if rows is None else room,
    )
    return without_idle_states(graph)


def _traced(step: StepModule, rows: int | None, room: int) -> fx.GraphModule:
    """Core ATen operators, where the sizes that are free stay symbols."""
    if rows is not None:
        inputs = [step.example_input(rows), *(s.initial(rows, room) for s in step.states)]
        return traced(step, inputs, None)
    # sizes alone count: thousands of rows of a cache are gigabytes once they are filled
    inputs = [step.example_input(ROWS), *(s.unfilled(ROWS, ROOM) for s in step.states)]
    return traced(step, inputs, [{0}, *({0, s.grows} for s in step.states)])


def reduced(module: fx.GraphModule) -> fx.GraphModule:
    """The same without what depends on the parameters alone, and without complex numbers."""
    return _Reduction(module).run()


class _Reduction:
    """Copies a traced program into a new graph, node by node. A value is a tensor (or number) where
    it is known now, and a proxy or a ComplexPair of them where it is not."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.values: dict[fx.Node, Any] = {}
        self.constants: dict[int, fx.Node] = {}
        self.kept: list[Tensor] = []  # so that no id is used twice

    def run(self) -> fx.GraphModule:
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self.graph.placeholder(node.name)
            elif node.op == "get_attr":
                self.values[node] = getattr(self.traced, str(node.target)).detach()
            elif node.op == "call_function":
                if node.target not in _NOTES:
                    arguments = map_aggregate(node.args, self._value)
                    options = map_aggregate(node.kwargs, self._value)
                    self.values[node] = self._call(node.target, arguments, options)
            elif node.op == "output":
                outputs = map_aggregate(node.args[0], self._value)
                self.graph.output(tuple(self._node(x) for x in cast("Any", outputs)))
        self.graph.eliminate_dead_code()
        module = fx.GraphModule(self.root, self.graph)
        return module

    def _value(self, argument: Any) -> Any:
        return self.values[argument] if isinstance(argument, fx.Node) else argument

    def _call(self, target: Any, arguments: Any, options: Any) -> Any:
        flat = list(_flattened((arguments, options)))
        if not any(isinstance(x, fx.Node | ComplexPair) for x in flat):
            target = _ANY_LAYOUT.get(target, target)
            return target(*arguments, **options)  # known now
        if target in _SAME:
            return arguments[0]
        if target is aten.sym_size.int and arguments[1] == 0:
            return self._rows(arguments[0])
        target = _ANY_LAYOUT.get(target, target)
        complex_now = any(isinstance(x, ComplexPair) or is_complex(x) for x in flat)
        if complex_now or target in (aten.complex.default, aten.view_as_complex.default):
            return on_pairs(self._emit, target, arguments, options)
        return self._emit(target, *arguments, **options)

    def _rows(self, tensor: Any) -> Any:
        """The size of the first axis: where it is that of a state, it is that of the input."""
        if tensor.op == "placeholder":
            tensor = next(node for node in self.graph.nodes if node.op == "placeholder")
        return self._emit(aten.sym_size.int, tensor, 0)

    def _emit(self, target: Any, *arguments: Any, **options: Any) -> Any:
        """The call itself where all is known, else a node of the new graph."""
        if not any(isinstance(x, fx.Node) for x in _flattened((arguments, options))):
            return target(*arguments, **options)
        arguments = map_aggregate(arguments, self._held)
        options = map_aggregate(options, self._held)
        return self.graph.call_function(target, cast("Any", arguments), cast("Any", options))

    def _held(self, value: Any) -> Any:
        return self._node(value) if isinstance(value, Tensor) else value

    def _node(self, value: Any) -> fx.Node:
        """A node for a value that is known: a buffer of the new module."""
        if isinstance(value, fx.Node):
            return value
        if id(value) not in self.constants:
            name = f"constant_{len(self.constants)}"
            self.kept.append(value)
            self.root.register_buffer(name, value)  # as it is: a table may be there transposed too
            self.constants[id(value)] = self.graph.get_attr(name)
        return self.constants[id(value)]


def _flattened(value: Any) -> Any:
    """All that is inside of lists, tuples and dictionaries."""
    if not isinstance(value, tuple | list | dict):
        yield value
    else:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _flattened(one)


def without_idle_states(graph: StepGraph) -> StepGraph:
    """Drops states that neither the answer nor another state reads: a counter of positions where
    positions mean nothing."""
    module, states = graph.module, graph.states
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    output = next(node for node in module.graph.nodes if node.op == "output")
    results: Any = output.args[0]
    needed = needed_states(module)
    kept = sorted(needed)
    output.args = (tuple(results[i] for i in kept),)
    module.graph.eliminate_dead_code()
    for i, node in enumerate(placeholders):
        if i not in needed:
            module.graph.erase_node(node)
    for node, name in zip(
        (placeholders[i] for i in kept), ("input", *(states[i - 1].name for i in kept[1:]))
    ):
        node.name = node.target = name
    module.recompile()
    return graph._replace(states=tuple(states[i - 1] for i in kept[1:]))


def needed_states(module: fx.GraphModule) -> set[int]:
    """Of (input, *state) -> (answer, *state), the numbers of those that the answer depends on, in
    one step or over several; 0 is the input."""
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    results: Any = next(node for node in module.graph.nodes if node.op == "output").args[0]
    needed = {0}
    while True:
        reached = _reached([results[number] for number in needed])
        found = {0} | {i for i, node in enumerate(placeholders) if i and node in reached}
        if found == needed:
            return needed
        needed = found


def _reached(starts: list[fx.Node]) -> set[fx.Node]:
    seen: set[fx.Node] = set()
    waiting = list(starts)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(node.all_input_nodes)
    return seen


class _Recorder(fx.Interpreter):
    """Keeps what every node gave."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.found: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.found[n] = super().run_node(n)
        return self.found[n]


def recorded(step: StepGraph, *, rows: int, room: int) -> dict[fx.Node, Any]:
    """What every node of the graph gives before the first position: types and shapes."""
    inputs = step.example[:1].expand(rows, *step.example.shape[1:]).clone()
    return outcomes(step.module, [inputs, *(state.initial(rows, room) for state in step.states)])


def outcomes(module: fx.GraphModule, inputs: list[Tensor]) -> dict[fx.Node, Any]:
    """What every node of a graph gives for these inputs."""
    recorder = _Recorder(module)
    with torch.no_grad():
        recorder.run(*inputs)
    return recorder.found
