"""AdamW (Loshchilov and Hutter 2019) or AdaMax (adamax.py), and three learning-rate schedules.

    cosine    linear warm-up, then half a cosine down to `final_ratio` of the peak
    constant  linear warm-up, the peak, then a linear fall over the last `decay_fraction`
    inverse_sqrt  linear warm-up, then peak * sqrt(warm-up / progress) (Vaswani et al. 2017, eq. 3)

Progress runs from 0 to 1 over the budget, so that a budget in seconds has a schedule as well.

Gradient noise (Neelakantan et al. 2015, "Adding gradient noise improves learning for very deep
networks"): a normal draw is added to every clipped gradient, its variance falling from step to
step. They try 0.01, 0.3 and 1 to begin with, and a decay of 0.55.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from seqarena.train.adamax import AdaMax
from seqarena.train.config import OptimizerConfig

_NEAR = 1e-5  # of the limit: torch adds 1e-6 to the norm


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """It decays matrices alone: biases, norms and other vectors are left as they are, and so are
    parameters that their mixer marks `no_weight_decay` (the spectra of state spaces)."""
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            spared = parameter.dim() < 2 or getattr(parameter, "no_weight_decay", False)
            (kept if spared else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate, betas = config.learning_rate, (config.beta1, config.beta2)
    if config.name == "adamax":
        return AdaMax(groups, lr=rate, betas=betas)
    return _AdamW(groups, lr=rate, betas=betas, fused=True)


class _AdamW(torch.optim.AdamW):
    """torch's fused AdamW, number for number, with less around it on the CPU: to gather, check and
    group the tensors took it three quarters of the time of a small model."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            updated = [p for p in group["params"] if p.grad is not None]
            states = [self.state.get(p) for p in updated]
            if not all(states) or any(p.device.type != "cpu" for p in updated):
                super().step()
                return
        for group in self.param_groups:
            updated = [p for p in group["params"] if p.grad is not None]
            states = [self.state[p] for p in updated]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)  # pyright: ignore[reportPrivateImportUsage]
            beta1, beta2 = group["betas"]
            torch._fused_adamw_(  # pyright: ignore[reportPrivateImportUsage]
                updated,
                [p.grad for p in updated],  # pyright: ignore[reportArgumentType]
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )


@torch.no_grad()
def clip_gradients(parameters: Sequence[nn.Parameter], limit: float) -> float:
    """`torch.nn.utils.clip_grad_norm_`, number for number, which multiplies by 1 what is within the
    limit. Returns the norm before."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if not float(norm) < limit - _NEAR:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return float(norm)


@torch.no_grad()
def add_gradient_noise(model: nn.Module, step: int, config: OptimizerConfig) -> None:
    """Noise for the gradients of step number `step`, from 0. Nothing is drawn where none is asked
    for, so that other draws stay what they are."""
    if not config.gradient_noise:
        return
    deviation = math.sqrt(config.gradient_noise / (1 + step) ** config.gradient_noise_decay)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.add_(torch.randn_like(parameter.grad), alpha=deviation)


def learning_rate_at(progress: float, config: OptimizerConfig) -> float:
    """The rate when a share `progress` in [0, 1] of the budget is spent."""
    peak, warmup = config.learning_rate, config.warmup_fraction
    if progress < warmup:
        return peak * progress / warmup
    if config.schedule == "inverse_sqrt":
        return peak * math.sqrt(warmup / progress) if warmup else peak
    if config.schedule == "cosine":
        done = min(1.0, (progress - warmup) / max(1e-12, 1.0 - warmup))
        share = 0.5 * (1.0 + math.cos(math.pi * done))
    else:
        share = min(1.0, (1.0 - progress) / max(1e-12, config.decay_fraction))
    return peak * (config.final_ratio + (1.0 - config.final_ratio) * share)
