"""How many rounds Newton's method takes over a trained recurrent layer, by length.

The layer is trained within its stack on the embedded text by its usual algorithm; then it reads the
text of the test split, in float64, once by the loop and once by `newton`.
"""

from collections.abc import Sequence
from typing import Any

import torch

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.measure.subject import subject
from seqarena.measure.trained.fit import fit
from seqarena.models.solving import solve_first_layer
from seqarena.tasks.registry import build_task, parse_task
from seqarena.tasks.text.language import LanguageTask

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
    assert isinstance(task, LanguageTask)
    chosen = subject(architecture, width=width, depth=1)
    tokens_T = torch.as_tensor(task.split_tokens("test")[: max(lengths)]).long()
    if len(tokens_T) < max(lengths):
        raise UserError(f"the test split has {len(tokens_T)} tokens, fewer than {max(lengths)}")
    found: dict[int, list[tuple[int, float]]] = {length: [] for length in lengths}
    missed = []
    for seed in seeds:
        fitted = fit(chosen, task, steps=steps, batch_size=_BATCH_SIZE, seed=seed)
        for length in lengths:
            taken, difference = solve_first_layer(fitted.model, tokens_T[None, :length], method)
            if taken is None:
                missed.append([seed, length])
            found[length].append((length if taken is None else taken, difference))
    settings = {"width": width, "steps": steps, "seeds": list(seeds), "not_converged": missed}
    return [
        _series(architecture, method, quantity, {x: [pair[k] for pair in y] for x, y in
                                                 found.items()}, settings)
        for k, quantity in enumerate(("newton_rounds", "output_difference"))
    ]  # fmt: skip


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
