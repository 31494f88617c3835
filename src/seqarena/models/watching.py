"""Attention weights of a model while it answers, from every softmax that can show them.

B  examples    H  heads    T  positions that look    C  positions that are looked at
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn

from seqarena.mixers.base import Watched


class Shown(NamedTuple):
    """The weights of one call of one module."""

    module: str  # its name in the model: "stack.blocks.0.mixer"
    weights_BHTC: Tensor  # rows sum to one over the slots C


class Look(NamedTuple):
    """What one part of a model looks at.

    `part` says who looks at whom: "" for the inputs at the inputs, "encoder", "decoder" and
    "decoder to source" of pairs, "looks" and "looks at sentences" of a label, "looks" and "passage
    to question" of a span.
    """

    part: str
    layer: int
    weights_BHTC: Tensor  # rows sum to one over C


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


def watched_looks(model: nn.Module, run: Callable[[], object]) -> list[Look]:
    """Every attention weight of the model while it runs, in the order of the calls."""
    with watching(model) as shown:
        run()
    return [Look(*_place(each.module), each.weights_BHTC) for each in shown]


def _place(module: str) -> tuple[str, int]:
    """The part and the layer of a module by its name: "decoder.1.source" is layer 1 of "decoder to
    source"."""
    number = re.search(r"\.(\d+)(?:\.|$)", module)
    layer = int(number.group(1)) if number else 0
    if module.startswith("encoder."):
        return "encoder", layer
    if module.startswith("attention.") or module.endswith(".source"):
        return "decoder to source", layer
    return ("decoder" if module.startswith("decoder.") else ""), layer
