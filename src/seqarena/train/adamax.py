"""AdaMax with gradients clipped by their own history.

AdaMax (Kingma & Ba 2015, section 7.1) divides the running mean m of the gradient by a decaying
maximum v of its absolute value. Freivalds & Liepins 2017 clip each coordinate of the gradient at a
little more than that maximum before both are updated, so that one steep batch moves a weight no
further than the batches before it did:

    limit = 1.2 v + 1e-4      g = clip(g, -limit, limit)
    m = beta1 m + (1 - beta1) g      v = max(beta2 v, |g|)      w = w - rate m / (v + 1e-8)

There is no correction of the bias of m, as in their code: the first steps are small.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

CLIP_MULTIPLIER = 1.2
CLIP_FLOOR = 1e-4  # gradients below are never clipped
EPSILON = 1e-8


class AdaMax(torch.optim.Optimizer):
    """Weight decay is decoupled: a share `lr * weight_decay` of the weight a step."""

    def __init__(
        self, params: Iterable[Any], lr: float, betas: tuple[float, float], weight_decay: float = 0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["mean"] = torch.zeros_like(parameter)
            state["maximum"] = torch.zeros_like(parameter)
        beta1, beta2 = group["betas"]
        limit = CLIP_MULTIPLIER * state["maximum"] + CLIP_FLOOR
        gradient = gradient.clamp(-limit, limit)
        state["mean"].lerp_(gradient, 1 - beta1)
        torch.maximum(state["maximum"] * beta2, gradient.abs(), out=state["maximum"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.addcdiv_(state["mean"], state["maximum"] + EPSILON, value=-group["lr"])
