"""Whether attention heads differ: the divergence between the weights of every two of a layer.

D(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2      Jensen and Shannon, in bits, from 0 to 1

B  examples    H  heads    T  positions that look    C  positions that are looked at
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.measure.subject import subject
from seqarena.measure.trained.fit import fit
from seqarena.models.model import Model
from seqarena.tasks.registry import build_task, parse_task

_EARLY = 8  # positions at the start have little to choose from and are left out


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
    the embedded text's test part: variant "initial", and "trained" after `steps` on its training
    part. Raises UserError where no layer has two heads."""
    task = build_task(parse_task({"kind": "language", "sequence_length": sequence_length}))
    batch = next(iter(task.evaluation_batches("test", 16, 1)))
    chosen = subject(architecture, width=width, depth=depth)
    found: dict[str, list[list[float]]] = {"initial": [], "trained": []}
    for seed in seeds:
        # a rate that moves no weight by a bit of it
        start = fit(chosen, task, steps=1, batch_size=batch_size, learning_rate=1e-30, seed=seed)
        found["initial"].append(_divergences(start.model, batch))
        end = fit(
            chosen, task, steps=steps, batch_size=batch_size, learning_rate=learning_rate,
            seed=seed,
        )  # fmt: skip
        found["trained"].append(_divergences(end.model, batch))
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
    return _entropy(mixed) - (_entropy(p) + _entropy(q)) / 2


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1) / torch.log(torch.tensor(2.0))


def _divergences(model: Model, batch: Batch) -> list[float]:
    """One number a layer."""
    with torch.no_grad():
        looks = model.eval().looks(batch)
    layers = [each.weights_BHTC[:, :, _EARLY:] for each in looks if each.weights_BHTC.shape[1] > 1]
    if not layers:
        raise UserError("no layer of this model has attention with two heads or more")
    return [
        sum(
            float(divergence(a_BHTC[:, one], a_BHTC[:, other]).mean())
            for one, other in itertools.combinations(range(a_BHTC.shape[1]), 2)
        )
        / (a_BHTC.shape[1] * (a_BHTC.shape[1] - 1) // 2)
        for a_BHTC in layers
    ]
