"""A trained recurrent layer solved for all positions at once (`ops.recurrent.newton`)."""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.mixers.base import Mixer
from seqarena.models.model import Model
from seqarena.ops.recurrent.newton import recorded_solves


class SolvedLayer(NamedTuple):
    """Rounds (None: it does not converge) and the largest difference from the loop's output."""

    rounds: int | None
    difference: float


def solve_first_layer(model: Model, tokens_BT: Tensor, method: str) -> SolvedLayer:
    """The model's first mixer in float64, over what it reads of these tokens, by its loop and by
    `method`. Puts the model in eval mode. Raises UserError where the mixer has no such algorithm.
    """
    mixer = next(module for module in model.modules() if isinstance(module, Mixer))
    seen: list[Tensor] = []
    handle = mixer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with handle, torch.no_grad():
        model.eval().answer(Batch(tokens_BT, tokens_BT))
    x_BTD, by = seen[0].double(), {}
    for name in ("loop", method):
        config = mixer.config.model_copy(update={"algorithm": name})
        by[name] = type(mixer)(mixer.width, config).double()
        by[name].load_state_dict(mixer.state_dict())
    with torch.no_grad(), recorded_solves() as solves:
        expected_BTD = by["loop"](x_BTD)[0]
        try:
            difference = float((by[method](x_BTD)[0] - expected_BTD).abs().max())
        except UserError:
            return SolvedLayer(None, 0.0)
    return SolvedLayer(solves[0].rounds, difference)
