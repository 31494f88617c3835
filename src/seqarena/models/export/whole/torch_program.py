"""A whole graph as a program of torch.export: its nodes as they are, and torch's `scan` for each
loop over time."""

import copy
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch._higher_order_ops.scan import scan
from torch.export import Dim, ExportedProgram

from seqarena.core.errors import UserError, one_line
from seqarena.models.export.whole.graph import WholeGraph
from seqarena.models.export.whole.loops import body_of

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class Scan(nn.Module):
    """A loop over time: (carried, timed, fixed) -> [*carried, *outputs]."""

    def __init__(self, body: fx.GraphModule) -> None:
        super().__init__()
        self.body = own_copy(body)

    def forward(
        self, carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]
    ) -> list[Tensor]:
        count = len(carried)

        def one(state: list[Tensor], inputs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            found = [x.clone() for x in self.body(*state, *inputs, *fixed)]
            # torch's scan wants an output
            return found[:count], found[count:] or [found[0].clone()]

        start = [x.clone() for x in carried]
        by_time = [x.transpose(0, 1) for x in timed]
        after, outputs = cast("Any", scan(one, start, by_time, dim=0))
        return [*after, *(x.transpose(0, 1) for x in outputs)]


def own_copy(module: fx.GraphModule) -> fx.GraphModule:
    """A copy whose constants share no memory, which a loop's may not."""
    own = copy.deepcopy(module)
    for name, buffer in own.named_buffers():
        setattr(own, name, buffer.contiguous().clone())
    return own


def whole_program(whole: WholeGraph) -> ExportedProgram:
    """With every size free that is so in the graph. Raises UserError where torch cannot."""
    module = own_copy(whole.module)
    for number, node in enumerate(list(module.graph.nodes)):
        if node.target is torch.ops.seqarena.over_time.default:
            body, *others = node.args
            module.add_submodule(f"loop_{number}", Scan(body_of(body).graph()))
            with module.graph.inserting_before(node):
                new = module.graph.call_module(f"loop_{number}", tuple(others))
            node.replace_all_uses_with(new)
            module.graph.erase_node(node)
    module.recompile()
    names = {n for port in whole.inputs for n in port.axes if isinstance(n, str)}
    sizes = {name: Dim(name) for name in names}
    dynamic = tuple(
        {i: sizes[n] for i, n in enumerate(port.axes) if isinstance(n, str)}
        for port in whole.inputs
    )
    examples = tuple(whole.examples())
    try:
        program = torch.export.export(module, examples, dynamic_shapes=dynamic, strict=True)
    except Exception as error:
        raise UserError(f"torch.export cannot trace it: {one_line(error)[:200]}") from error
    for inner in program.graph_module.modules():
        if isinstance(inner, fx.GraphModule) and inner is not program.graph_module:
            for node in inner.graph.nodes:  # what torch cannot save of a loop's nodes
                node.meta.pop("nn_module_stack", None)
    return program
