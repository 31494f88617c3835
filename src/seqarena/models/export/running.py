"""A causal model in onnxruntime, under the contract of every model that writes: a state, several
positions that continue it, one position that does.

    runs = OnnxModel(model)
    logits_BTV, state = runs.read(tokens_BT, runs.initial_state(B))
    logits_BV, state = runs.step(token_B, state)

The graph is the one that `export --to onnx` writes (onnx_graph.py), held in memory. Its states are
those of the file, so that rows join and leave a batch by models/states/rows.py: a cache has a slot
for each position, and each row counts its own.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError, one_line
from seqarena.core.shapes import lengths_to_mask
from seqarena.models.export import compared
from seqarena.models.export.onnx_file import check_packages, onnx_session, outputs_of
from seqarena.models.export.step import StateTensor
from seqarena.models.export.whole.compared import difference_of_whole
from seqarena.models.export.whole.continued import continued_graph
from seqarena.models.export.whole.graph import whole_graph
from seqarena.models.model import Model, StatefulModel

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class OnnxAnswers:
    """A model that reads its whole input, in onnxruntime: `answer` as it has it."""

    def __init__(self, model: Model, threads: int = 1) -> None:
        """Raises as `OnnxModel` does."""
        check_packages()
        from seqarena.models.export.whole.onnx import onnx_whole

        graph = whole_graph(model)
        self.problem = model.problem
        self._names = tuple(port.name for port in graph.inputs)
        self._session = onnx_session(_as_bytes(onnx_whole(graph, {})), threads)
        self.difference = difference_of_whole(model, self._run)
        compared.check("its ONNX graph", self.difference)

    def answer(self, batch: Batch) -> Tensor:
        """Logits [B, T, V], or [B, 1, V] for one label. Rows are padded on the right."""
        return self._run(*(_port(name, batch) for name in self._names))[0]

    def _run(self, *tensors: Tensor) -> list[Tensor]:
        return outputs_of(self._session, self._names, tensors)


def _port(name: str, batch: Batch) -> Tensor:
    """What a batch has for an input of a whole graph (whole/graph.py)."""
    found = {
        "input": batch.inputs_BT,
        "segments": batch.segments_BT,
        "characters": batch.characters_BTC,
        "categories": batch.categories_BTC,
    }
    if name != "lengths":
        tensor = found[name]
        assert tensor is not None, f"a batch of this task has {name}"
        return tensor
    rows, length = batch.inputs_BT.shape[:2]
    if batch.mask_BT is None:
        return torch.full((rows,), length)
    lengths_B = batch.mask_BT.sum(1)
    assert torch.equal(batch.mask_BT, lengths_to_mask(lengths_B, length)), "padding is on the right"
    return lengths_B


class OnnxModel:
    """Float32, on the CPU. The model that it is made of is not kept."""

    def __init__(self, model: StatefulModel, threads: int = 1) -> None:
        """Holds the graph against the model, as an export does. Raises UserError for a missing
        package, a model that has no such graph, and a graph whose numbers differ."""
        check_packages()
        from seqarena.models.export.whole.onnx import onnx_whole

        graph, step = continued_graph(model)
        self._states = step.states
        self._names = tuple(port.name for port in graph.inputs)
        self._kind = _state_type(step.states)
        self._session = onnx_session(_as_bytes(onnx_whole(graph, {})), threads)
        self.carries, self.most_positions = model.carries, model.most_positions
        self.difference = compared.largest_difference(model, step, self._run)
        compared.check("its ONNX graph", self.difference)

    def initial_state(self, batch_size: int, max_length: int = 0) -> Any:
        """Before the first position. Caches grow call by call, whatever `max_length` is."""
        tensors = [state.initial(batch_size) for state in self._states]
        return self._state(tensors, 0, None)

    def read(self, tokens_BT: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Rows that go on: (logits_BTV, state)."""
        length, lengths_B = getattr(state, "length", 0), getattr(state, "lengths_B", None)
        given = [_cut(x, one.grows, length) for x, one in zip(state, self._states)]
        logits_BTV, *after = self._run(tokens_BT, *given)
        T = tokens_BT.shape[1]
        lengths_B = None if lengths_B is None else lengths_B + T
        return logits_BTV, self._state(after, length + T, lengths_B)

    def step(self, token_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One position further: (logits_BV, state)."""
        logits_B1V, state = self.read(token_B[:, None], state)
        return logits_B1V[:, 0], state

    def _run(self, *tensors: Tensor) -> list[Tensor]:
        return outputs_of(self._session, self._names, tensors)

    def _state(self, tensors: list[Tensor], length: int, lengths_B: Tensor | None) -> Any:
        counts = (length, lengths_B) if "length" in self._kind._fields else ()
        return self._kind(*tensors, *counts)


def _state_type(states: tuple[StateTensor, ...]) -> Any:
    """A named tuple. The letters of a name say which axis is the batch and which holds a slot for
    each position. Where one does, `length` bounds what the rows have read."""
    fields: list[tuple[str, Any]] = []
    for state in states:
        axes = ("C" if axis == state.grows else "X" for axis in range(1, state.like.dim()))
        fields.append((f"{state.name}_B{''.join(axes)}", Tensor))
    if any(state.grows is not None for state in states):
        fields += [("length", int), ("lengths_B", Tensor | None)]
    return NamedTuple("OnnxState", fields)


def _cut(x: Tensor, grows: int | None, length: int) -> Tensor:
    """Without slots that no row uses: the longest row may have left."""
    return x if grows is None or x.shape[grows] == length else x.narrow(grows, 0, length)


def _as_bytes(graph: Any) -> bytes:
    try:
        return graph.SerializeToString()
    except Exception as error:
        raise UserError(
            f"its ONNX graph is too large for one message: {one_line(error)}"
        ) from error
