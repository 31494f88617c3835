"""AdaMax against its equations in plain NumPy, and resumed from a checkpoint."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seqarena.train import checkpoint
from seqarena.train.adamax import AdaMax
from seqarena.train.config import OptimizerConfig
from seqarena.train.loop import Trainer


def test_five_steps_by_hand() -> None:
    draw = np.random.default_rng(0)
    w, m, v = draw.normal(size=7), np.zeros(7), np.zeros(7)
    parameter = nn.Parameter(torch.from_numpy(w.copy()))
    optimizer = AdaMax([parameter], lr=0.1, betas=(0.9, 0.95), weight_decay=0.3)
    clipped = 0
    for step in range(5):
        g = draw.normal(size=7) * 3e-5 * 10.0**step
        parameter.grad = torch.from_numpy(g.copy())
        optimizer.step()
        limit = 1.2 * v + 1e-4
        clipped += int((np.abs(g) > limit).sum())
        g = np.clip(g, -limit, limit)
        m, v = 0.9 * m + 0.1 * g, np.maximum(0.95 * v, np.abs(g))
        w = w - 0.1 * 0.3 * w - 0.1 * m / (v + 1e-8)
    assert clipped > 5
    np.testing.assert_allclose(parameter.detach().numpy(), w, rtol=1e-12)


def test_resumed_as_if_never_stopped(make_trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    settings = {"optimizer": OptimizerConfig(name="adamax", learning_rate=1e-2)}
    whole, first, second = (make_trainer(**settings) for _ in range(3))
    expected = [record.loss_nats for record in islice(whole.steps(), 5)]
    found = [record.loss_nats for record in islice(first.steps(), 3)]
    checkpoint.save(tmp_path / "checkpoint", first, {"artifacts": {}})
    assert checkpoint.resume(second, tmp_path / "checkpoint")
    found += [record.loss_nats for record in islice(second.steps(), 2)]
    assert found == expected
