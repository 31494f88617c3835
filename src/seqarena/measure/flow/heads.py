"""Whether attention heads differ: the divergence between the weights of every two of a layer.

D(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2      Jensen and Shannon, in bits, from 0 to 1

Heads that look at fewer positions differ more, wherever they look. So the trained heads stand
beside the same heads before training, and beside those with their scores multiplied by the number
beta that gives each head the mean entropy of its trained self: softmax(beta s) ~ softmax(s)^beta.

B  examples    H  heads    T  positions that look    C  positions that are looked at
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.measure.subject import subject
from seqarena.measure.trained.fit import begin, fit
from seqarena.models.model import Model
from seqarena.tasks.registry import build_task, parse_task

_EARLY = 8  # positions at the start have little to choose from and are left out
_WIDEST = 12.0  # of the logarithm of a factor of scores, either way
_HALVINGS = 50


def head_divergence(
    architecture: str = "attention",
    *,
    steps: int = 400,
    width: int = 64,
    depth: int = 2,
    sequence_length: int = 64,
    batch_size: int = 16,
    learning_rate: float = 3e-3,
    seeds: Sequence[int] = (0, 1),
) -> list[Series]:
    """`head_divergence_bits` by layer, the mean over pairs of heads, positions and 16 windows of
    the embedded text's test part: variant "initial", "trained" after `steps` on its training part,
    and "sharpened", the initial heads with the entropy of the trained ones. Raises UserError where
    no layer has two heads."""
    task = build_task(parse_task({"kind": "language", "sequence_length": sequence_length}))
    batch = next(iter(task.evaluation_batches("test", 16, 1)))
    chosen = subject(architecture, width=width, depth=depth)
    found: dict[str, list[list[float]]] = {"initial": [], "sharpened": [], "trained": []}
    for seed in seeds:
        start = _weights(begin(chosen, task, seed=seed), batch)
        model = fit(
            chosen, task, steps=steps, batch_size=batch_size, learning_rate=learning_rate,
            seed=seed,
        ).model  # fmt: skip
        end = _weights(model, batch)
        sharp = [sharpened(*layers) for layers in zip(start, end, strict=True)]
        for variant, layers in (("initial", start), ("sharpened", sharp), ("trained", end)):
            found[variant].append([_divergence_of_heads(a_BHTC) for a_BHTC in layers])
    return [
        Series(
            measurement="heads",
            quantity="head_divergence_bits",
            axis="layer",
            architecture=architecture,
            variant=variant,
            points=tuple(
                Point(x=layer, repeats=repeats)
                for layer, repeats in enumerate(zip(*values, strict=True), start=1)
            ),
            settings={
                "width": width, "depth": depth, "steps": steps, "batch_size": batch_size,
                "learning_rate": learning_rate, "sequence_length": sequence_length,
                "seeds": list(seeds), "positions_left_out": _EARLY,
            },
            machine=this_machine(),
        )
        for variant, values in found.items()
    ]  # fmt: skip


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """Of distributions over the last axis, in bits."""
    mixed = (p + q) / 2
    return entropy(mixed) - (entropy(p) + entropy(q)) / 2


def entropy(p: Tensor) -> Tensor:
    """Of distributions over the last axis, in bits."""
    return torch.special.entr(p).sum(-1) / math.log(2.0)


def sharpened(start_BHTC: Tensor, end_BHTC: Tensor) -> Tensor:
    """The weights `start` with their scores multiplied, each head by a number of its own, so that
    a head's mean entropy is that of the same head in `end`."""
    wanted_H = entropy(end_BHTC).mean((0, 2))
    low_H, high_H = (torch.full_like(wanted_H, end) for end in (-_WIDEST, _WIDEST))  # of log beta
    for _ in range(_HALVINGS):  # entropy falls as beta grows
        middle_H = (low_H + high_H) / 2
        above_H = entropy(_to_the_power(start_BHTC, middle_H)).mean((0, 2)) > wanted_H
        low_H, high_H = middle_H.where(above_H, low_H), high_H.where(above_H, middle_H)
    return _to_the_power(start_BHTC, (low_H + high_H) / 2)


def _to_the_power(weights_BHTC: Tensor, log_beta_H: Tensor) -> Tensor:
    """softmax(beta s); what was not looked at stays so."""
    return torch.softmax(weights_BHTC.log() * log_beta_H.exp()[:, None, None], -1)


def _weights(model: Model, batch: Batch) -> list[Tensor]:
    """The weights of each layer that has several heads, without the first positions."""
    with torch.no_grad():
        looks = model.eval().looks(batch)
    layers = [each.weights_BHTC[:, :, _EARLY:] for each in looks if each.weights_BHTC.shape[1] > 1]
    if not layers:
        raise UserError("no layer of this model has attention with two heads or more")
    return [a_BHTC.double() for a_BHTC in layers]


def _divergence_of_heads(a_BHTC: Tensor) -> float:
    """The mean over pairs of heads."""
    pairs = list(itertools.combinations(range(a_BHTC.shape[1]), 2))
    total = sum(float(divergence(a_BHTC[:, one], a_BHTC[:, other]).mean()) for one, other in pairs)
    return total / len(pairs)
