"""Attention weights of a model while it answers, from every softmax that can show them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn

from seqarena.mixers.attention.attention import Watched


class Shown(NamedTuple):
    """The weights of one call of one module."""

    module: str  # its name in the model: "stack.blocks.0.mixer"
    weights_BHTC: Tensor  # rows sum to one over the slots C


@contextmanager
def watching(model: nn.Module) -> Iterator[list[Shown]]:
    """Collects the weights of every call inside, in the order of the calls."""
    shown: list[Shown] = []
    watched = [(name, part) for name, part in model.named_modules() if isinstance(part, Watched)]
    for name, part in watched:
        part.watcher = lambda weights, name=name: shown.append(Shown(name, weights.detach()))
    try:
        yield shown
    finally:
        for _, part in watched:
            part.watcher = None
