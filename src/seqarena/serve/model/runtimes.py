"""What computes a model that writes: torch or onnxruntime, behind one contract.

T  tokens    B  rows    V  vocabulary
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.products import multiplying, resolve_products
from seqarena.core.words import plural
from seqarena.models.export.onnx_file import runtime_version
from seqarena.models.export.running import OnnxAnswers, OnnxModel
from seqarena.models.model import Model, StatefulModel
from seqarena.use.predict import Predictor

_MANY_ROWS = 8  # of a product, from which on oneDNN was ahead of the BLAS, but for Mamba


class Runtime(Protocol):
    """What the engine (engine.py) asks of it. A state that is passed in is consumed."""

    @property
    def words(self) -> str:
        """What computes, and how."""
        ...

    @property
    def carries(self) -> bool:
        """Whether a state keeps its size, however much was read."""
        ...

    @property
    def most_positions(self) -> int | None:
        """How many tokens it can read and write in all; None: there is no end."""
        ...

    def initial_state(self, batch_size: int, max_length: int = 0) -> Any:
        """Before the first token; `max_length` tokens follow at most."""
        ...

    def read(self, tokens_BT: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(logits_BTV, state) after these tokens of every row."""
        ...

    def step(self, token_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(logits_BV, state) after one token of every row."""
        ...


def open_runtime(model: Model, engine: str, device: str) -> Runtime:
    """`model` by torch on `device`, or by onnxruntime. Raises UserError for what has no graph."""
    writer = cast("StatefulModel", model)
    if engine == "onnx":
        return OnnxRuntime(writer, torch.get_num_threads())
    return TorchRuntime(writer.to(device), resolve_products("auto", device).name)


def answer_by(predictor: Predictor, engine: str) -> str:
    """Lets `predictor` answer by that engine; what computes, in words. Raises UserError for what
    has no graph."""
    if engine == "torch":
        return f"torch on {predictor.device}"
    if predictor.codec.generates:
        raise UserError(f"the answers of task {predictor.config.kind} are searched, by torch alone")
    threads = torch.get_num_threads()
    predictor.model = cast("Model", OnnxAnswers(predictor.model, threads))
    return _onnx_words(threads)


def _onnx_words(threads: int) -> str:
    return f"onnxruntime {runtime_version()}, {plural(threads, 'thread')}"


class TorchRuntime:
    """The model itself, where it is, its matrices laid out for steps."""

    def __init__(self, model: StatefulModel, products: str = "blas") -> None:
        """`products` says who multiplies many rows (core/products.py); few the BLAS does."""
        self.model, self._products = by_columns(model.eval()), products
        self._device = next(model.parameters()).device
        self.carries, self.most_positions = model.carries, model.most_positions
        self.words = f"torch on {self._device}, products of many rows by {products}"

    def initial_state(self, batch_size: int, max_length: int = 0) -> Any:
        return self.model.initial_state(batch_size, max_length)

    def read(self, tokens_BT: Tensor, state: Any) -> tuple[Tensor, Any]:
        tokens_BT = tokens_BT.to(self._device)
        with self._multiplying(tokens_BT.numel()):
            return self.model.resume(Batch(tokens_BT, tokens_BT), state)

    def step(self, token_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        with self._multiplying(len(token_B)):
            return self.model.step(token_B.to(self._device), state)

    def _multiplying(self, rows: int) -> AbstractContextManager[None]:
        return multiplying(self._products if rows >= _MANY_ROWS else "blas")


class OnnxRuntime(OnnxModel):
    """The graph of an export, by onnxruntime."""

    def __init__(self, model: StatefulModel, threads: int = 1) -> None:
        super().__init__(model, threads)
        self.words = _onnx_words(threads)


def by_columns(model: StatefulModel) -> StatefulModel:
    """The same model, its matrices laid out by columns, in place; values and shapes stay.

    A product x W^T of one row reads each row of W from its start; of several rows the BLAS and
    oneDNN both repack W first. Where W lies by columns they read it as it lies. The numbers are the
    same but for the order of sums.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.data = parameter.data.t().contiguous().t()
    return model
