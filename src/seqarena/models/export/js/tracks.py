"""What a page can show of a model's inside while it reads: states, gates, attention.

All of it is found in the graph of one step. A state is there by its name. A gate is a sigmoid whose
output is no part of x * sigmoid(x); it belongs to the layer whose state it comes before. Attention
is a softmax over positions, which it is if its weights are zero wherever nothing was read yet: that
is seen by running the graph. The names of gates are those of the papers, for the cells that have
them (`_GATES`); a gate of any other cell is shown by number.
"""

import math
import re
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx

from seqarena.models.export.graph import StepGraph
from seqarena.models.export.js.program import JSProgram

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
POSITIONS = 8  # read to see which softmax looks at positions
_MOST_CHANNELS = 256  # rows of a track; of more numbers the last axes are taken together

# cell -> its gates in the order of their numbers, each cut from one or several sigmoids
_GATES: dict[str, tuple[str, ...]] = {
    "GRU": ("reset gate r", "update gate z"),
    "LSTM": ("forget gate f", "input gate i", "output gate o"),
    "QRNN": (),
}
_STATES = {
    "h": "state h",
    "c": "cell c",
    "s": "matrix state S",
    "n": "normaliser n",
    "m": "largest exponent m",
    "stack": "stack",
}
_WINDOWS = ("x", "inputs", "keys")  # last inputs that a convolution or a shift still sees


class Track(NamedTuple):
    """One row of pictures: numbers in a view of the machine, the same after each step.

    `kind` is state, gate, window or attention. `shape` is that of the numbers; a state's last axes
    are taken together by their norm until `rows` are left. Of attention it is [heads, places], and
    `shifts` says whether a place is a position or counts back from the last. A window sees `span`
    positions."""

    layer: int | None
    kind: str
    name: str
    operand: list[Any]  # buffer, offset, strides
    shape: tuple[int, ...]
    rows: int = 0
    shifts: bool = False
    span: int = 0


def tracks_of(step: StepGraph, program: JSProgram) -> list[Track]:
    """Every track, by layer: what comes first in the step is first."""
    flow = _Flow(step)
    seen = _recorded(step)
    found = [*_states(step, program), *_gates(step, program, flow, seen)]
    found += _attention(program, flow, seen)
    kinds = ("attention", "gate", "state", "window")
    return sorted(found, key=lambda t: (-1 if t.layer is None else t.layer, kinds.index(t.kind)))


class _Flow:
    """Which layers' states a node comes after and before."""

    def __init__(self, step: StepGraph) -> None:
        self.step = step
        nodes = list(step.module.graph.nodes)
        given = {n.name: n for n in nodes if n.op == "placeholder"}
        results: Any = next(n for n in nodes if n.op == "output").args[0]
        self.after: dict[fx.Node, set[int]] = {n: set() for n in nodes}
        self.before: dict[fx.Node, set[int]] = {n: set() for n in nodes}
        for state, result in zip(step.states, results[1:], strict=True):
            layer = layer_of(state.name)
            if layer is not None and state.like.is_floating_point():
                self.after[given[state.name]].add(layer)
                self.before[result].add(layer)
        for node in nodes:
            for other in node.all_input_nodes:
                self.after[node] |= self.after[other]
        for node in reversed(nodes):
            for other in node.all_input_nodes:
                if node.op != "output":
                    self.before[other] |= self.before[node]

    def layer(self, node: fx.Node) -> int | None:
        """Of a gate: the first layer whose next state needs it, or, of a gate on a layer's output,
        the one after the last layer that it has heard of."""
        first = min(self.before[node], default=10**6)
        layer = min(first, max(self.after[node], default=-1) + 1)
        return layer if layer < 10**6 and self.before.keys() else None


def layer_of(name: str) -> int | None:
    """`layers_2_h` -> 2."""
    found = re.match(r"layers_(\d+)(_|$)", name)
    return int(found[1]) if found else None


def _states(step: StepGraph, program: JSProgram) -> list[Track]:
    nodes = {n.name: n for n in step.module.graph.nodes if n.op == "placeholder"}
    found = []
    for state in step.states:
        if state.grows is not None or not state.like.is_floating_point():
            continue
        last = re.sub(r"^layers_\d+_?", "", state.name).rpartition("_")[2]
        shape, layer = tuple(state.like.shape[1:]), layer_of(state.name)
        view = program.value(nodes[state.name])
        if last in _STATES:
            name, rows = _STATES[last], _rows(shape)
            found.append(Track(layer, "state", name, _operand(view), shape, rows))
        elif last in _WINDOWS or not last:  # [places, features]: the last place is the newest
            span, *features = shape
            newest = view.narrowed(1, span - 1, 1).without(1)
            about = Track(layer, "window", "last inputs", _operand(newest), tuple(features))
            found.append(about._replace(rows=math.prod(features), span=span + 1))
    stated = {track.layer for track in found if track.kind == "state"}
    return [t for t in found if t.kind == "state" or t.layer not in stated]


def _rows(shape: tuple[int, ...]) -> int:
    while len(shape) > 1 and math.prod(shape) > _MOST_CHANNELS:
        shape = shape[:-1]
    return math.prod(shape)


def _operand(view: Any) -> list[Any]:
    """Without the axis of the one row."""
    return [view.buffer, view.offset, list(view.strides[1:])]


def _gates(
    step: StepGraph, program: JSProgram, flow: _Flow, seen: list[dict[fx.Node, Any]]
) -> list[Track]:
    cells = _cells(step)
    found: dict[int | None, list[Track]] = {}
    for node in step.module.graph.nodes:
        if node.target is not aten.sigmoid.default or _is_swish(node):
            continue
        layer = flow.layer(node)
        own = found.setdefault(layer, [])
        shape = tuple(seen[0][node].shape[1:])
        operand = _operand(program.value(node))
        names = _GATES.get(cells.get(layer, ""), ())
        parts = len(names) if len(names) > 1 and not own and _is_cut(node, len(names)) else 1
        size = math.prod(shape) // parts
        for part in range(parts):
            number = len(own)
            name = names[number] if number < len(names) else f"gate {number + 1}"
            buffer, offset, strides = operand
            begin = offset + part * size * (strides[-1] if strides else 0)
            cut = (*shape[:-1], shape[-1] // parts) if parts > 1 else shape
            own.append(Track(layer, "gate", name, [buffer, begin, strides], cut, math.prod(cut)))
    return [track for own in found.values() for track in own if track.rows <= 1024]


def _is_swish(node: fx.Node) -> bool:
    """x * sigmoid(x) is an activation."""
    return any(
        user.target is aten.mul.Tensor and node.args[0] in user.args for user in node.users
    )


def _is_cut(node: fx.Node, parts: int) -> bool:
    cuts = [user for user in node.users if user.target is aten.split_with_sizes.default]
    return bool(cuts) and len(cast("Any", cuts[0].args[1])) == parts


def _cells(step: StepGraph) -> dict[int | None, str]:
    mixers = getattr(step.model, "mixers", ())
    return {number: type(mixer).__name__ for number, mixer in enumerate(mixers)}


def _recorded(step: StepGraph) -> list[dict[fx.Node, Any]]:
    """What every node gave, position by position."""
    found, state = [], [one.initial(1, step.room or 0) for one in step.states]
    nodes = [n for n in step.module.graph.nodes if n.op == "output"]
    draw = torch.Generator().manual_seed(0)
    for _ in range(min(POSITIONS, step.room or POSITIONS)):
        recorder = _Recorder(step.module)
        with torch.no_grad():
            recorder.run(torch.randint(step.vocabulary, (1,), generator=draw), *state)
        state = [recorder.found[n] for n in cast("Any", nodes[0].args[0])[1:]]
        found.append(recorder.found)
    return found


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.found: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.found[n] = super().run_node(n)
        return self.found[n]


def _attention(
    program: JSProgram, flow: _Flow, seen: list[dict[fx.Node, Any]]
) -> list[Track]:  # fmt: skip
    found = []
    for node in flow.step.module.graph.nodes:
        if node.target is not aten._softmax.default:
            continue
        weights = [one[node] for one in seen]
        places = weights[0].shape[-1]
        heads = weights[0].numel() // places
        if places < len(seen) or cast("int", node.args[1]) not in (-1, weights[0].dim() - 1):
            continue
        shifts = next((s for s in (False, True) if _only_what_was_read(weights, s)), None)
        flat = program.value(node).reshaped((1, heads, places))
        if shifts is None or flat is None:
            continue
        about = Track(_attending(node, flow), "attention", "attention", _operand(flat), (heads, places))
        found.append(about._replace(rows=heads, shifts=shifts))
    return found


def _attending(node: fx.Node, flow: _Flow) -> int | None:
    """The layer of a softmax, which comes after its own layer's cache and before no other."""
    return max(flow.after[node], default=None)


def _only_what_was_read(weights: list[Tensor], shifts: bool) -> bool:
    """Whether every place that stands for no position read so far has no weight."""
    for t, one in enumerate(weights):
        flat = one.reshape(-1, one.shape[-1])
        unread = flat[:, : -(t + 1)] if shifts else flat[:, t + 1 :]
        if unread.abs().sum() > 0 or (flat.sum(-1) - 1).abs().max() > 1e-3:
            return False
    return True
