"""How many rounds Newton's method takes over a trained recurrent layer, by length.

The layer is trained within its stack on the embedded text by its usual algorithm; then it reads the
text of the test split, in float64, once by the loop and once by `newton`.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.measure.subject import subject
from seqarena.measure.trained.fit import fit
from seqarena.mixers.base import Mixer
from seqarena.models.model import Model
from seqarena.ops.recurrent.newton import recorded_solves
from seqarena.tasks.registry import build_task, parse_task

_TRAINED_LENGTH, _BATCH_SIZE = 64, 16


def rounds(
    architecture: str,
    *,
    lengths: Sequence[int],
    width: int = 16,
    steps: int = 150,
    seeds: Sequence[int] = (0, 1, 2),
    method: str = "newton",
) -> list[Series]:
    """`newton_rounds` and `output_difference` against the length, one repeat a seed: the rounds of
    one layer, and its largest difference from the loop.

    Where it does not converge, the rounds are the length, one a position, which always suffice; the
    settings list these (`not_converged`). Raises UserError for an architecture without the method.
    """
    task = build_task(parse_task({"kind": "language", "sequence_length": _TRAINED_LENGTH}))
    chosen = subject(architecture, width=width, depth=1)
    tokens_T = torch.as_tensor(task.split_tokens("test")[: max(lengths)]).long()
    if len(tokens_T) < max(lengths):
        raise UserError(f"the test split has {len(tokens_T)} tokens, fewer than {max(lengths)}")
    found: dict[int, list[tuple[int, float]]] = {length: [] for length in lengths}
    missed = []
    for seed in seeds:
        fitted = fit(chosen, task, steps=steps, batch_size=_BATCH_SIZE, seed=seed)
        for length in lengths:
            mixer, x_BTD = _first_layer(fitted.model, tokens_T[None, :length])
            taken, difference = _solved(mixer, x_BTD, method)
            if taken is None:
                missed.append([seed, length])
            found[length].append((length if taken is None else taken, difference))
    settings = {"width": width, "steps": steps, "seeds": list(seeds), "not_converged": missed}
    return [
        _series(architecture, method, quantity, {x: [pair[k] for pair in y] for x, y in
                                                 found.items()}, settings)
        for k, quantity in enumerate(("newton_rounds", "output_difference"))
    ]  # fmt: skip


def _first_layer(model: Model, tokens_BT: Tensor) -> tuple[Mixer, Tensor]:
    """The model's first mixer and what it reads of these tokens."""
    mixer = next(module for module in model.modules() if isinstance(module, Mixer))
    seen: list[Tensor] = []
    handle = mixer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with handle, torch.no_grad():
        model.eval().answer(Batch(tokens_BT, tokens_BT))
    return mixer, seen[0]


def _solved(mixer: Mixer, x_BTD: Tensor, method: str) -> tuple[int | None, float]:
    """Rounds (None: it does not converge) and the largest difference from the loop."""
    by = {}
    for name in ("loop", method):
        config = mixer.config.model_copy(update={"algorithm": name})
        by[name] = type(mixer)(mixer.width, config).double()
        by[name].load_state_dict(copy.deepcopy(mixer.state_dict()))
    x_BTD = x_BTD.double()
    with torch.no_grad(), recorded_solves() as solves:
        expected = by["loop"](x_BTD)[0]
        try:
            difference = float((by[method](x_BTD)[0] - expected).abs().max())
        except UserError:
            return None, 0.0
    return solves[0].rounds, difference


def _series(
    architecture: str,
    method: str,
    quantity: str,
    values: dict[int, list[float]],
    settings: dict[str, Any],
) -> Series:
    return Series(
        measurement="rounds",
        quantity=quantity,
        axis="length",
        architecture=architecture,
        variant=method,
        points=tuple(Point(x=x, repeats=tuple(map(float, y))) for x, y in values.items()),
        settings=settings,
        machine=this_machine(dtype="float64"),
    )
