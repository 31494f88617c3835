"""The step graph with less copying, for the same numbers: what a runtime is given (onnx_graph.py).

- A slice of all is the tensor itself.
- A cache that has room for one position more is used as it is. The trace cuts its last slot off and
  puts a slot of zeros in its place; that slot is free, and a free slot holds zeros.
- A product of stacks of matrices is one `matmul` over their own axes. The trace folds the leading
  axes into one, multiplies, and unfolds them.
"""

import operator
from typing import Any

import torch
from torch import Tensor, fx

from seqarena.models.export.graph import outcomes

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
_END = 2**63 - 1  # of a slice that goes to the end


def simplified(
    module: fx.GraphModule, inputs: list[Tensor], caches: dict[str, int] | None = None
) -> fx.GraphModule:
    """A graph of its own; the parameters are shared. `inputs` are such as the graph takes, whose
    free sizes differ from one another. `caches` are those states that have room for one position
    more, and the axis of their positions."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(module.graph, {}))
    own = fx.GraphModule(module, graph)
    for node in graph.nodes:
        if _calls(node, aten.slice.Tensor) and _is_whole(node):
            node.replace_all_uses_with(node.args[0])
    _use_caches_whole(graph, [x.dim() for x in inputs], caches or {})
    _multiply_by_stacks(own, inputs)
    graph.eliminate_dead_code()
    own.recompile()
    return own


def _is_whole(node: fx.Node) -> bool:
    """Whether a slice is of all."""
    x, axis, start, end, *step = node.args
    if start != 0 or step not in ([], [1]):
        return False
    return end == _END or (_calls(end, aten.sym_size.int) and end.args == (x, axis))


def _use_caches_whole(graph: fx.Graph, ranks: list[int], caches: dict[str, int]) -> None:
    nodes = [node for node in graph.nodes if node.op == "placeholder"]
    places = {
        node: (caches[str(node.target)], rank)
        for node, rank in zip(nodes, ranks, strict=True)
        if node.target in caches
    }
    for node in graph.nodes:
        cache = _padded_cache(node, places)
        if cache is not None:
            node.replace_all_uses_with(cache)


def _padded_cache(node: fx.Node, places: dict[fx.Node, tuple[int, int]]) -> fx.Node | None:
    """The cache that `node` is, without its last slot and with a slot of zeros behind. `places` are
    the axis of its positions and the number of its axes."""
    if node.target is not aten.constant_pad_nd.default:
        return None
    part, pads, *value = node.args
    if not _calls(part, aten.slice.Tensor) or any(value) or len(part.args) != 4:
        return None
    cache, axis, start, end = part.args
    if cache not in places or start != 0 or not _calls(end, operator.sub):
        return None
    one_more = [0] * (2 * (places[cache][1] - axis) - 1) + [1]
    if places[cache][0] != axis or list(pads) != one_more:
        return None
    size, less = end.args
    if less != 1 or not _calls(size, aten.sym_size.int):
        return None
    other, its_axis = size.args
    same_room = other in places and places[other][0] == its_axis  # all caches have one
    return cache if same_room else None


def _multiply_by_stacks(module: fx.GraphModule, inputs: list[Tensor]) -> None:
    examples, graph = outcomes(module, inputs), module.graph
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
