"""A traced graph as ONNX, node by node.

A matrix is an initializer once; where it is there transposed as well, that is a `Transpose` of the
one that is stored.
"""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx
from torch.fx.node import map_aggregate

from seqarena.core.errors import UserError
from seqarena.models.export.onnx_operators import RULES, Rule, Size, Value

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
OPSET = 20
_IR_VERSION = 10  # of the files that this opset came with
TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.int64: TensorProto.INT64,
    torch.int32: TensorProto.INT32,
    torch.uint8: TensorProto.UINT8,
    torch.bool: TensorProto.BOOL,
}


tensor_info = helper.make_tensor_value_info


class OnnxGraph:
    """The nodes of the body, and the constants of the outer graph, as they are written."""

    def __init__(self) -> None:
        self.body: list[Any] = []
        self.outer: list[Any] = []
        self.initializers: list[Any] = []
        self.matrices: dict[int, tuple[Tensor, str]] = {}  # by the place of their numbers
        self._count = 0
        self._constants: dict[Any, str] = {}

    def nodes(self, kind: str, inputs: list[str], count: int, **attributes: Any) -> list[str]:
        """A node of the body with several outputs: their names."""
        names = [self.name() for _ in range(count)]
        self.body.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """A node of the body: the name of its output."""
        return self.nodes(kind, inputs, 1, **attributes)[0]

    def constant(self, value: Any, dtype: torch.dtype) -> str:
        """A number."""
        return self.held(torch.tensor(value, dtype=dtype))

    def held(self, tensor: Tensor) -> str:
        """A constant tensor; equal ones are stored once."""
        array = np.ascontiguousarray(tensor.detach().numpy()).reshape(tuple(tensor.shape))
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            name = self.name()
            self.initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def sizes(self, values: Any) -> str:
        """An int64 tensor of sizes, known and unknown."""
        if not any(isinstance(value, Size) for value in values):
            return self.held(torch.tensor([int(value) for value in values], dtype=torch.int64))
        names = [v.name if isinstance(v, Size) else self.sizes([v]) for v in values]
        return names[0] if len(names) == 1 else self.node("Concat", names, axis=0)

    def cast(self, name: str, old: torch.dtype, new: torch.dtype) -> str:
        """The same numbers in another type."""
        return name if old == new else self.node("Cast", [name], to=TYPES[new])

    def number(self, value: Any, dtype: torch.dtype) -> str:
        """A tensor, a size or a number, in that type."""
        if isinstance(value, Value):
            return self.cast(value.name, value.like.dtype, dtype)
        if isinstance(value, Size):
            return self.cast(self.node("Squeeze", [value.name]), torch.int64, dtype)
        return self.constant(value, dtype)

    def like(self, value: Any) -> Any:
        """What stands for it where types are worked out."""
        return value.like if isinstance(value, Value | Size) else value

    def outer_transpose(self, name: str) -> str:
        """A matrix of the outer graph, transposed there."""
        found = self.name()
        self.outer.append(helper.make_node("Transpose", [name], [found], perm=[1, 0]))
        return found

    @contextmanager
    def inner(self) -> Iterator[list[Any]]:
        """Inside, nodes go into a body of their own, which is given."""
        outside, self.body = self.body, []
        try:
            yield self.body
        finally:
            self.body = outside

    def name(self) -> str:
        """A name that nothing else has."""
        self._count += 1
        return f"v{self._count}"


def finished(
    nodes: list[Any],
    inputs: list[Any],
    results: list[Any],
    graph: OnnxGraph,
    metadata: dict[str, str],
) -> Any:
    """The model of these nodes, with its constants and what it says about itself."""
    whole = helper.make_graph(nodes, "seqarena", inputs, results, graph.initializers)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(whole, opset_imports=[opset], producer_name="seqarena")
    model.ir_version = _IR_VERSION
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model


def write_nodes(
    graph: OnnxGraph,
    module: fx.GraphModule,
    given: dict[fx.Node, Value],
    examples: dict[fx.Node, Any],
    rules: dict[Any, Rule] = RULES,
) -> list[Value]:
    """Every node of `module`, whose inputs are `given`, into the body; what it gives. Raises
    UserError for an operator that has no rule."""
    values: dict[fx.Node, Any] = dict(given)
    matrices = graph.matrices
    for node in module.graph.nodes:
        arguments: Any = map_aggregate(node.args, lambda n: _of(values, n))
        options: Any = map_aggregate(node.kwargs, lambda n: _of(values, n))
        example: Any = examples.get(node)
        if node.op == "placeholder":
            continue
        if node.op == "get_attr":
            values[node] = _constant(graph, matrices, example)
        elif node.op == "output":
            return list(arguments[0])
        elif node.target is operator.getitem:
            values[node] = arguments[0][arguments[1]]
        elif node.target is torch.ops.aten.sym_size.int:
            axis = arguments[1] % arguments[0].like.dim()
            name = graph.node("Shape", [arguments[0].name], start=axis, end=axis + 1)
            values[node] = Size(name, example)
        else:
            rule = rules.get(node.target)
            if rule is None:
                raise UserError(f"the operator {node.target} has no ONNX here")
            found = rule(graph, example, *arguments, **options)
            values[node] = _named_values(found, example)
    raise AssertionError("a graph has an output")


def _named_values(found: Any, example: Any) -> Any:
    if isinstance(found, list):
        return [Value(name, one) for name, one in zip(found, example)]
    return Value(found, example) if isinstance(example, Tensor) else Size(found, example)


def _of(values: dict[fx.Node, Any], argument: Any) -> Any:
    return values[argument] if isinstance(argument, fx.Node) else argument


def _constant(graph: OnnxGraph, matrices: dict[int, tuple[Tensor, str]], tensor: Tensor) -> Value:
    place = tensor.data_ptr()  # of its first number: parts of one storage are others
    if tensor.dim() == 2 and place in matrices:
        first, name = matrices[place]
        if tensor.T.shape == first.shape and tensor.T.stride() == first.stride():
            return Value(graph.outer_transpose(name), tensor)
    name = graph.held(tensor)
    if tensor.dim() == 2:
        matrices.setdefault(place, (tensor, name))
    return Value(name, tensor)
