"""A traced graph with less copying, for the same numbers.

- A slice of all is the tensor itself.
- A cache gets room once. The trace gives it room, cuts it off where a layer takes what was read,
  and gives it room again.
- A product of stacks of matrices is one `matmul` over their own axes. The trace folds the leading
  axes into one, multiplies, and unfolds them.
"""

from typing import Any

import torch
from torch import Tensor, fx

from seqarena.models.export.graph import outcomes

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
aten = torch.ops.aten
_END = 2**63 - 1  # of a slice that goes to the end


def simplified(
    module: fx.GraphModule, inputs: list[Tensor], caches: dict[str, int]
) -> fx.GraphModule:
    """A graph of its own; the parameters are shared. `inputs` are such as the graph takes, whose
    free sizes differ from one another. `caches` are the inputs that hold what was read, all equally
    much, and the axis of its positions."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(module.graph, {}))
    own = fx.GraphModule(module, graph)
    examples = outcomes(own, inputs)
    nodes: list[Any] = list(graph.nodes)
    for node in nodes:
        if _calls(node, aten.slice.Tensor) and _is_whole(node):
            node.replace_all_uses_with(node.args[0])
    places = {
        node: caches[str(node.target)]
        for node in nodes
        if node.op == "placeholder" and node.target in caches
    }
    for node in nodes:
        cache = _padded_again(node, places, examples)
        if cache is not None:
            node.replace_all_uses_with(cache)
    _multiply_by_stacks(graph, examples)
    graph.eliminate_dead_code()
    own.recompile()
    return own


def _is_whole(node: Any) -> bool:
    """Whether a slice is of all."""
    x, axis, start, end, *step = node.args
    if start != 0 or step not in ([], [1]):
        return False
    return end == _END or (_calls(end, aten.sym_size.int) and end.args == (x, axis))


def _padded_again(
    node: Any, places: dict[fx.Node, int], examples: dict[fx.Node, Any]
) -> fx.Node | None:
    """The cache with room that `node` is, cut to what was read and with the same room again."""
    if not _calls(node, aten.constant_pad_nd.default) or not _calls(
        node.args[0], aten.slice.Tensor
    ):
        return None
    padded, axis, start, end, *step = node.args[0].args
    if not _calls(padded, aten.constant_pad_nd.default) or start != 0 or step not in ([], [1]):
        return None
    if places.get(padded.args[0]) != axis or not _calls(end, aten.sym_size.int):
        return None
    cache, its_axis = end.args  # all caches hold equally much
    if places.get(cache) != its_axis or node.args[2:] != padded.args[2:]:
        return None
    room, again = ([examples.get(n, n) for n in pads.args[1]] for pads in (padded, node))
    return padded if room == again else None


def _multiply_by_stacks(graph: fx.Graph, examples: dict[fx.Node, Any]) -> None:
    for node in list(graph.nodes):
        if node.target is not aten.bmm.default:
            continue
        stacks: list[Any] = [_stack(factor, examples) for factor in node.args]
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


def _stack(factor: Any, examples: dict[fx.Node, Any]) -> Any:
    """The stack [X, Y, M, N] of which `factor` is [X Y, M, N]."""
    if not _calls(factor, aten.reshape.default):
        return None
    stack = factor.args[0]
    like: Tensor = examples[stack]
    folded = like.dim() == 4 and like.flatten(0, 1).shape == examples[factor].shape
    return stack if folded else None


def _calls(node: Any, target: Any) -> bool:
    return isinstance(node, fx.Node) and node.target is target
