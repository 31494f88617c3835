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

import torch
from torch import nn

from seqarena.train.adamax import AdaMax
from seqarena.train.config import OptimizerConfig


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
    return torch.optim.AdamW(groups, lr=rate, betas=betas, fused=True)


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
