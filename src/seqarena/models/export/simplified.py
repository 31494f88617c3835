"""The step graph with less copying, for the same numbers: what a runtime is given (onnx_graph.py).

- A slice of all is the tensor itself.
- A cache that has room for one position more is used as it is. The trace cuts its last slot off and
  puts a slot of zeros in its place; that slot is free, and a free slot holds zeros.
- A product of stacks of matrices is one `matmul` over their own axes. The trace folds the leading
  axes into one, multiplies, and unfolds them.

    rows 3, room 7    sizes that tell the axes of a state apart while shapes are compared
"""

import operator
from typing import Any

import torch
from torch import Tensor, fx

from seqarena.models.export.graph import StepGraph, recorded
from seqarena.models.export.step import StateTensor

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
_END = 2**63 - 1  # of a slice that goes to the end


def simplified(step: StepGraph) -> StepGraph:
    """A graph of its own; the parameters are shared."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(step.module.graph, {}))
    own = step._replace(module=fx.GraphModule(step.module, graph))
    for node in graph.nodes:
        if _calls(node, aten.slice.Tensor) and node.args[2:] == (0, _END):
            node.replace_all_uses_with(node.args[0])
    _use_caches_whole(own)
    _multiply_by_stacks(own)
    graph.eliminate_dead_code()
    own.module.recompile()
    return own


def _use_caches_whole(step: StepGraph) -> None:
    nodes = list(step.module.graph.nodes)
    inputs = [node for node in nodes if node.op == "placeholder"][1:]
    states = dict(zip(inputs, step.states, strict=True))
    for node in nodes:
        cache = _padded_cache(node, states)
        if cache is not None:
            node.replace_all_uses_with(cache)


def _padded_cache(node: fx.Node, states: dict[fx.Node, StateTensor]) -> fx.Node | None:
    """The state that `node` is, without its last slot and with a slot of zeros behind."""
    if node.target is not aten.constant_pad_nd.default:
        return None
    part, pads, *value = node.args
    if not _calls(part, aten.slice.Tensor) or any(value) or len(part.args) != 4:
        return None
    cache, axis, start, end = part.args
    state = states.get(cache)
    if state is None or axis != state.grows or start != 0 or not _calls(end, operator.sub):
        return None
    size, less = end.args
    one_more = [0] * (2 * (state.like.dim() - 1 - axis)) + [0, 1]
    if less != 1 or list(pads) != one_more or not _calls(size, aten.sym_size.int):
        return None
    like, its_axis = size.args
    same_room = like in states and states[like].grows == its_axis  # all caches have one
    return cache if same_room else None


def _multiply_by_stacks(step: StepGraph) -> None:
    examples = recorded(step, rows=3, room=7)
    graph = step.module.graph
    for node in list(graph.nodes):
        if node.target is not aten.bmm.default:
            continue
        stacks = [_stack(factor, examples) for factor in node.args]
        users = list(node.users)
        if None in stacks or not all(_calls(user, aten.reshape.default) for user in users):
            continue
        found = torch.matmul(*(examples[stack] for stack in stacks))
        if any(examples[user].shape != found.shape for user in users):
            continue
        with graph.inserting_before(node):
            product = graph.call_function(aten.matmul.default, tuple(stacks))
        for user in users:
            user.replace_all_uses_with(product)


def _stack(factor: Any, examples: dict[fx.Node, Any]) -> fx.Node | None:
    """The stack [X, Y, M, N] of which `factor` is [X Y, M, N]."""
    if not _calls(factor, aten.reshape.default):
        return None
    stack = factor.args[0]
    like: Tensor = examples[stack]
    folded = like.dim() == 4 and like.flatten(0, 1).shape == examples[factor].shape
    return stack if folded else None


def _calls(node: Any, target: Any) -> bool:
    return isinstance(node, fx.Node) and node.target is target
