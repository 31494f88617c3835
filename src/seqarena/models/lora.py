"""LoRA: fine-tuning by low-rank updates of frozen matrices (Hu et al. 2021, arXiv:2106.09685).

    W' = W + (alpha / r) B A        W [n, m] frozen, B [n, r] zeros, A [r, m] random at the start

Adapted are the matrices that a body multiplies by: the weights of its linear layers, and the
matrices that a mixer keeps itself (of a GRU, say). Embeddings, the head, vectors, convolutions and
spectra of state spaces are not; nor are torch's own recurrent layers, which keep copies of theirs.

A layer reads W' as its weight, whatever it does with it, and the merged model has the same numbers:
B A is added before the product, not after it. A gradient therefore passes through a whole matrix:
what LoRA saves here is the state of the optimizer and the size of what was learnt, not time.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.mixers.base import Mixer
from seqarena.models.model import Model

_KEYS = ("A_RM", "B_NR")


class Adapters(Config):
    """Which matrices have an update of which rank. A scale of one is an alpha of the rank."""

    rank: int
    alpha: float
    matrices: tuple[str, ...]  # names of tensors, as a checkpoint has them
    trained: int  # parameters that training moves, of ...
    parameters: int  # ... those of the merged model


class LowRank(nn.Module):
    """The update of one matrix: W -> W + scale B A, in the dtype of W also under autocast."""

    def __init__(self, weight_NM: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        n, m = weight_NM.shape
        self.scale = scale
        self.A_RM = nn.Parameter(weight_NM.new_empty(rank, m))
        self.B_NR = nn.Parameter(weight_NM.new_zeros(n, rank))
        nn.init.normal_(self.A_RM, std=1 / math.sqrt(m))

    def forward(self, weight_NM: Tensor) -> Tensor:
        with torch.autocast(weight_NM.device.type, enabled=False):
            return weight_NM + self.scale * (self.B_NR @ self.A_RM)


class _Place(NamedTuple):
    """A matrix of a module."""

    name: str  # of the tensor in a checkpoint
    module: nn.Module
    key: str

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(getattr(self.module, self.key).shape)


def plan_adapters(
    model: Model,
    rank: int,
    alpha: float | None = None,
    layers: Sequence[str] = (),
    fresh: Sequence[str] = (),
) -> Adapters:
    """The adapters of a model: of every matrix of its body, or of those whose name has one of
    `layers` in it, where an update has fewer numbers than the matrix. `fresh` are tensors that are
    trained whole beside them.

    Raises UserError for a model without such a matrix, for a layer that is none, and for a rank
    that saves nothing.
    """
    places = [place for place in _matrices(model) if place.name not in fresh]
    for layer in layers:
        if not any(layer in place.name for place in places):
            raise UserError(f"--lora-layers {layer}: {_named(places)}")
    named_so = [one for one in places if not layers or any(layer in one.name for layer in layers)]
    if not named_so:
        raise UserError("LoRA has nothing to adapt in this model: its body has no linear layers")
    chosen = [place for place in named_so if rank * sum(place.shape) < math.prod(place.shape)]
    if not chosen:
        raise UserError(
            f"--lora {rank} would train more numbers than the matrices have: choose a lower rank"
        )
    adapted = sum(rank * sum(place.shape) for place in chosen)
    named = dict(model.named_parameters())
    whole = sum(named[name].numel() for name in fresh if name in named)
    return Adapters(
        rank=rank,
        alpha=alpha or float(rank),
        matrices=tuple(place.name for place in chosen),
        trained=adapted + whole,
        parameters=model.num_parameters,
    )


def adapt(model: Model, adapters: Adapters, fresh: Sequence[str] = ()) -> None:
    """Freezes the model but for the `fresh` tensors, and gives its matrices their updates. They
    draw from torch's generator; the outputs are what they were, as B is zero."""
    places = {place.name: place for place in _matrices(model)}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in fresh)
    scale = adapters.alpha / adapters.rank
    for name in adapters.matrices:
        _, module, key = places[name]
        update = LowRank(getattr(module, key), adapters.rank, scale)
        parametrize.register_parametrization(module, key, update)


def own_name(name: str) -> str:
    """A tensor's name without the adapter that it is behind.

    >>> own_name("stack.blocks.0.gate.parametrizations.weight.original")
    'stack.blocks.0.gate.weight'
    """
    return name.replace("parametrizations.", "").removesuffix(".original")


def updates(model: nn.Module) -> Iterator[tuple[str, LowRank]]:
    """The name of each adapted matrix, and its update."""
    for name, module in model.named_modules():
        if isinstance(module, LowRank):
            yield own_name(name.rpartition(".")[0]), module


def merged(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an adapted model with every update added to its matrix."""
    with torch.no_grad():
        return tensors | {name: update(tensors[name]) for name, update in updates(model)}


def adapter_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Both factors of every update; none of a model that is not adapted."""
    return {
        f"{name}|{key}": getattr(update, key).detach().contiguous()
        for name, update in updates(model)
        for key in _KEYS
    }


def load_adapters(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copies both factors of every update. Raises UserError where they are of another model."""
    expected = adapter_tensors(model)
    if {name: x.shape for name, x in expected.items()} != {n: x.shape for n, x in tensors.items()}:
        raise UserError("the adapters of the checkpoint do not fit its model")
    with torch.no_grad():
        for name, tensor in tensors.items():
            expected[name].copy_(tensor)


def _matrices(model: Model) -> Iterator[_Place]:
    """Every matrix that can have an update: see the head of this file."""
    tied: dict[int, int] = {}
    for _, parameter in model.named_parameters(remove_duplicate=False):
        tied[id(parameter)] = tied.get(id(parameter), 0) + 1
    for path, module in model.named_modules():
        if path.partition(".")[0] in model.head_modules or isinstance(module, nn.RNNBase):
            continue
        if not isinstance(module, nn.Linear | Mixer):
            continue
        for key, parameter in module.named_parameters(recurse=False):
            spared = getattr(parameter, "no_weight_decay", False) or tied[id(parameter)] > 1
            if parameter.dim() == 2 and min(parameter.shape) > 1 and not spared:
                yield _Place(f"{path}.{key}", module, key)


def _named(places: Sequence[_Place]) -> str:
    """What there is to choose from, by the last parts of the names."""
    known = sorted({".".join(place.name.split(".")[-3:-1]) for place in places})
    return f"no layer has that in its name; there are {', '.join(known)}" if known else "none is"
