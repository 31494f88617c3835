"""One optimizer step, the same for every contender: only the model differs."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.runtime import autocast
from seqarena.train.config import OptimizerConfig
from seqarena.train.optimizer import build_optimizer

VOCABULARY = 256
SMALL_RATE = 1e-6  # weights hardly move: nothing diverges, and the work is the same


def batch(batch_size: int, length: int) -> tuple[Tensor, Tensor]:
    """Random inputs and targets [B, T]."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(VOCABULARY, (batch_size, length + 1), generator=generator)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def training_step(
    model: nn.Module,
    logits: Callable[[Tensor], Tensor],
    tokens: tuple[Tensor, Tensor],
    dtype: str,
    device: str = "cpu",
) -> Callable[[], None]:
    """Forward, loss, backward, clipping and fused AdamW, where the model is. `logits` maps inputs
    to [B, T, V]."""
    config = OptimizerConfig(learning_rate=SMALL_RATE)
    optimizer = build_optimizer(model, config)
    inputs_BT, targets_BT = (x.to(device) for x in tokens)
    model.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, dtype):
            logits_BTV = logits(inputs_BT)
        loss = F.cross_entropy(logits_BTV.float().flatten(0, 1), targets_BT.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()

    return step


def count(model: nn.Module) -> int:
    """Trainable numbers; tied weights count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def assert_same(what: str, found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> str:
    """Holds the contenders to one function: the sentence that says so, or AssertionError."""
    difference = float((found - expected).abs().max())
    scale = float(expected.abs().max())
    if not difference <= tolerance * scale:
        raise AssertionError(f"{what}: differs by {difference:.2e} at a scale of {scale:.2e}")
    return f"{what}: equal to {difference / scale:.0e}"
