"""What a page can show of a model's inside while it reads: states, gates, attention.

All of it is found in the graph of one step. A state is there by its name. A gate is a sigmoid in a
mixer that is no part of an activation. Attention is a softmax over positions: its weights are zero
wherever nothing was read yet, which is seen by running the graph. The layer is the last one whose
parameters the numbers come from.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx

from seqarena.models.export.c.views import View
from seqarena.models.export.graph import StepGraph
from seqarena.models.export.js.gate_names import GATES
from seqarena.models.export.js.program import JSProgram

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
_POSITIONS = 8  # read to see which softmax looks at positions
_MOST_ROWS = 256  # of a track
_KINDS = ("attention", "gate", "state", "window")  # as they follow in a layer
_STATES = {
    "h": "state h",
    "c": "cell c",
    "s": "matrix state S",
    "n": "normaliser n",
    "m": "stabiliser m",
    "stack": "stack",
}
_WINDOWS = ("", "x", "inputs", "keys")  # last inputs that a convolution or a shift still sees


class Track(NamedTuple):
    """Numbers that are at one place of the machine after each step, and how they are drawn.

    `kind` is state, gate, window or attention. `shape` is that of the numbers: what is more than
    `rows` is taken together by its norm, from the last axis on. Of attention it is [heads, places],
    and `shifts` says whether places count back from the last position or on from the first. A
    window sees `span` positions."""

    layer: int | None
    kind: str
    name: str
    words: str
    operand: list[Any]  # buffer, offset, strides
    shape: tuple[int, ...]
    rows: int
    shifts: bool = False
    span: int = 0


def tracks_of(step: StepGraph, program: JSProgram) -> list[Track]:
    """Every track, by layer."""
    origin = _Origin(step)
    found = [*_states(step, program), *_gates(step, program, origin)]
    found += _attention(step, program, origin)
    return sorted(found, key=lambda t: (-1 if t.layer is None else t.layer, _KINDS.index(t.kind)))


class _Origin:
    """Which parameters the numbers of a node were computed with."""

    def __init__(self, step: StepGraph) -> None:
        names = {p.untyped_storage().data_ptr(): n for n, p in step.model.named_parameters()}
        self.names: dict[fx.Node, set[str]] = {}
        for node in step.module.graph.nodes:
            found = {name for other in node.all_input_nodes for name in self.names[other]}
            if node.op == "get_attr":
                place = getattr(step.module, str(node.target)).untyped_storage().data_ptr()
                found |= {names[place]} if place in names else set()
            self.names[node] = found

    def layer(self, node: fx.Node) -> int | None:
        """The last layer whose parameters it comes from; None: none of a layer."""
        return max((n for n in map(_number, self.names[node]) if n is not None), default=None)

    def in_mixer(self, node: fx.Node) -> bool:
        """Whether it comes before its layer's channel mixer."""
        layer = self.layer(node)
        own = [name for name in self.names[node] if _number(name) == layer]
        return not any("channel_" in name for name in own)


def _number(parameter: str) -> int | None:
    found = re.search(r"\b(?:blocks|layers|decoder)\.(\d+)\.", parameter)
    return int(found[1]) if found else None


def _states(step: StepGraph, program: JSProgram) -> list[Track]:
    nodes = {n.name: n for n in step.module.graph.nodes if n.op == "placeholder"}
    found = []
    for state in step.states:
        if state.grows is not None or not state.like.is_floating_point():
            continue
        number = re.match(r"layers_(\d+)", state.name)
        layer = int(number[1]) if number else None
        last = re.sub(r"^layers_\d+_?", "", state.name).rpartition("_")[2]
        shape, view = tuple(state.like.shape[1:]), program.value(nodes[state.name])
        if last in _STATES:
            if len(shape) == 2 and shape[0] < shape[1] and math.prod(shape) > _MOST_ROWS:
                shape, view = shape[::-1], view.permuted((0, 2, 1))  # a row a channel
            operand = _operand(view)
            found.append(Track(layer, "state", _STATES[last], "", operand, shape, _rows(shape)))
        elif last in _WINDOWS:  # [places, features]: the last place is the newest
            span, *features = shape
            newest = _operand(view.narrowed(1, span - 1, 1).without(1))
            about = Track(layer, "window", "inputs", "", newest, tuple(features), _rows(shape[1:]))
            found.append(about._replace(span=span + 1))
    stated = {track.layer for track in found if track.kind == "state"}
    return [t for t in found if t.kind == "state" or t.layer not in stated]


def _rows(shape: tuple[int, ...]) -> int:
    while len(shape) > 1 and math.prod(shape) > _MOST_ROWS:
        shape = shape[:-1]
    return math.prod(shape)


def _operand(view: View) -> list[Any]:
    """Without the axis of the one row."""
    return [view.buffer, view.offset, list(view.strides[1:])]


def _gates(step: StepGraph, program: JSProgram, origin: _Origin) -> list[Track]:
    mixers = getattr(step.model, "mixers", ())
    cells = dict(enumerate(type(mixer).__name__ for mixer in mixers))
    found: dict[int | None, list[Track]] = {}
    for node in step.module.graph.nodes:
        if node.target is aten.sigmoid.default and _is_gate(node) and origin.in_mixer(node):
            layer = origin.layer(node)
            own, known = found.setdefault(layer, []), GATES.get(cells.get(layer or 0, ""), ())
            for view in _parts(node, program.value(node)):
                number = len(own)
                name, words = known[number] if number < len(known) else (f"gate {number + 1}", "")
                shape = view.shape[1:]
                own.append(Track(layer, "gate", name, words, _operand(view), shape, _rows(shape)))
    return [track for own in found.values() for track in own]


def _is_gate(node: fx.Node) -> bool:
    """No x * sigmoid(x), and no branch of a function in pieces: those are activations."""
    users = list(node.users)
    swish = any(u.target is aten.mul.Tensor and node.args[0] in u.args for u in users)
    return not swish and not all(u.target is aten.where.self for u in users)


def _parts(node: fx.Node, view: View) -> Iterator[View]:
    """The gates of one sigmoid, which is cut where it stands for several."""
    cut = next((u for u in node.users if u.target is aten.split_with_sizes.default), None)
    if cut is None:
        yield view
        return
    sizes, dim = cast("Any", (*cut.args[1:], 0))[:2]
    begin = 0
    for size in sizes:
        yield view.narrowed(dim % len(view.shape), begin, size)
        begin += size


def _attention(step: StepGraph, program: JSProgram, origin: _Origin) -> list[Track]:
    nodes = [n for n in step.module.graph.nodes if n.target is aten._softmax.default]
    seen = _weights(step, nodes) if nodes else {}
    found = []
    for node, weights in seen.items():
        places = weights[0].shape[-1]
        shape = (weights[0].numel() // places, places)
        last = cast("int", node.args[1]) in (-1, weights[0].dim() - 1)
        shifts = next((s for s in (False, True) if _only_what_was_read(weights, s)), None)
        flat = program.value(node).reshaped((1, *shape))
        if last and shifts is not None and flat is not None:
            about = Track(
                origin.layer(node), "attention", "attention", "", _operand(flat), shape, 0
            )
            found.append(about._replace(rows=shape[0], shifts=shifts))
    return found


def _weights(step: StepGraph, nodes: list[fx.Node]) -> dict[fx.Node, list[Tensor]]:
    """What each of the nodes gave, position by position."""
    found: dict[fx.Node, list[Tensor]] = {node: [] for node in nodes}
    state = [one.initial(1, step.room or 0) for one in step.states]
    draw = torch.Generator().manual_seed(0)
    for _ in range(min(_POSITIONS, step.room or _POSITIONS)):
        watched = _Watched(step.module, found)
        with torch.no_grad():
            _, *state = watched.run(torch.randint(step.vocabulary, (1,), generator=draw), *state)
    return found


class _Watched(fx.Interpreter):
    """Adds to `found` what its nodes give."""

    def __init__(self, module: fx.GraphModule, found: dict[fx.Node, list[Tensor]]) -> None:
        super().__init__(module)
        self.found = found

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self.found:
            self.found[n].append(value)
        return value


def _only_what_was_read(weights: list[Tensor], shifts: bool) -> bool:
    """Whether every place that stands for no position read so far has no weight."""
    for t, one in enumerate(weights):
        flat = one.reshape(-1, one.shape[-1])
        unread = flat[:, : -(t + 1)] if shifts else flat[:, t + 1 :]
        if unread.abs().sum() > 0 or (flat.sum(-1) - 1).abs().max() > 1e-3:
            return False
    return True
