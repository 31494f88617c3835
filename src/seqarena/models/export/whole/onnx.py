"""A whole graph as ONNX: its nodes as they are, and a `Scan` for each loop over time."""

from typing import Any

import torch
from onnx import helper

from seqarena.models.export.graph import outcomes
from seqarena.models.export.onnx_graph import TYPES, OnnxGraph, finished, tensor_info, write_nodes
from seqarena.models.export.onnx_operators import Value
from seqarena.models.export.whole.graph import WholeGraph
from seqarena.models.export.whole.loops import body_of
from seqarena.models.export.whole.onnx_operators import MORE_RULES

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


def onnx_whole(whole: WholeGraph, metadata: dict[str, str]) -> Any:
    """The model. Raises UserError for an operator that has no rule."""
    graph = OnnxGraph()
    nodes = [node for node in whole.module.graph.nodes if node.op == "placeholder"]
    examples = outcomes(whole.module, whole.examples())  # which give the types
    given = {
        node: Value(port.name, examples[node])
        for node, port in zip(nodes, whole.inputs, strict=True)
    }
    found = write_nodes(graph, whole.module, given, examples, RULES)
    inputs = [tensor_info(port.name, TYPES[port.dtype], list(port.axes)) for port in whole.inputs]
    results = []
    for name, value in zip(whole.outputs, found, strict=True):
        graph.body.append(helper.make_node("Identity", [value.name], [name]))
        results.append(tensor_info(name, TYPES[value.like.dtype], [None] * value.like.dim()))
    return finished([*graph.outer, *graph.body], inputs, results, graph, metadata)


def _over_time(
    g: OnnxGraph, out: Any, body: int, carried: list[Value], timed: list[Value], fixed: list[Value]
) -> list[str]:
    """A loop as a `Scan`: what is fixed is read from outside of it."""
    own = body_of(body)
    module = own.graph()
    nodes = [node for node in module.graph.nodes if node.op == "placeholder"]
    likes = [*(x.like for x in carried), *(x.like[:, 0] for x in timed), *(x.like for x in fixed)]
    names = [g.name() for _ in (*carried, *timed)]
    given = [Value(name, like) for name, like in zip(names, likes)]
    given += list(fixed)
    with g.inner() as inside:
        found = write_nodes(
            g, module, dict(zip(nodes, given, strict=True)), outcomes(module, likes), RULES
        )
        ends = [g.node("Identity", [value.name]) for value in found]
    graph = helper.make_graph(
        inside,
        f"step_{body}",
        [
            tensor_info(x.name, TYPES[x.like.dtype], [None] * x.like.dim())
            for x in given[: len(names)]
        ],
        [
            tensor_info(name, TYPES[value.like.dtype], [None] * value.like.dim())
            for name, value in zip(ends, found)
        ],
    )
    outputs = len(found) - len(carried)
    return g.nodes(
        "Scan",
        [x.name for x in (*carried, *timed)],
        len(out),
        body=graph,
        num_scan_inputs=len(timed),
        scan_input_axes=[1] * len(timed),
        **({"scan_output_axes": [1] * outputs} if outputs else {}),
    )


RULES: dict[Any, Any] = {**MORE_RULES, torch.ops.seqarena.over_time.default: _over_time}
