"""Schedules and budgets, by hand; updates as torch makes them."""

import copy
import math

import pytest
import torch
from pydantic import ValidationError

from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig
from seqarena.train.optimizer import (
    add_gradient_noise,
    build_optimizer,
    clip_gradients,
    learning_rate_at,
)


def test_cosine_by_hand() -> None:
    config = OptimizerConfig(learning_rate=1.0, warmup_fraction=0.1, final_ratio=0.2)
    assert learning_rate_at(0.05, config) == pytest.approx(0.5)
    assert learning_rate_at(0.1, config) == pytest.approx(1.0)
    assert learning_rate_at(0.55, config) == pytest.approx(0.2 + 0.8 * 0.5)
    assert learning_rate_at(1.0, config) == pytest.approx(0.2)


def test_constant_then_decay_by_hand() -> None:
    config = OptimizerConfig(
        learning_rate=1.0, schedule="constant", warmup_fraction=0.1, final_ratio=0.0,
        decay_fraction=0.2,
    )  # fmt: skip
    assert learning_rate_at(0.5, config) == 1.0
    assert learning_rate_at(0.8, config) == pytest.approx(1.0)
    assert learning_rate_at(0.9, config) == pytest.approx(0.5)
    assert learning_rate_at(1.0, config) == pytest.approx(0.0)


def test_only_matrices_decay() -> None:
    model = build("attention", vocab_size=7, width=16)
    decayed, kept = build_optimizer(model, OptimizerConfig(weight_decay=0.3)).param_groups
    assert decayed["weight_decay"] == 0.3
    assert kept["weight_decay"] == 0.0
    assert all(p.dim() >= 2 for p in decayed["params"])
    assert all(p.dim() < 2 for p in kept["params"])


def test_budgets_in_steps() -> None:
    assert Budget(tokens=1000).total_steps(300, 1.0) == 4
    assert Budget(steps=7).total_steps(300, 1.0) == 7
    assert Budget(flops=10.0).total_steps(300, 3.0) == 3
    assert Budget(seconds=1.0).total_steps(300, 3.0) is None


def test_marked_spectra_do_not_decay() -> None:
    model = build("mamba", vocab_size=7, width=16)
    _, kept = build_optimizer(model, OptimizerConfig()).param_groups
    spectra = [p for name, p in model.named_parameters() if "a_log" in name]
    assert spectra
    assert all(any(p is other for other in kept["params"]) for p in spectra)


@pytest.mark.parametrize("fields", [{}, {"steps": 1, "tokens": 5}])
def test_exactly_one_budget(fields: dict[str, int]) -> None:
    with pytest.raises(UserError, match="exactly one budget"):
        Budget(**fields)


def test_impossible_budgets() -> None:
    with pytest.raises(ValidationError, match="must be positive"):
        Budget(steps=-1)
    with pytest.raises(UserError, match="buys no step: one costs 3"):
        Budget(flops=1.0).total_steps(300, 3.0)


def test_gradient_noise_has_its_variance_and_falls() -> None:
    model = torch.nn.Linear(200, 200)
    config = OptimizerConfig(gradient_noise=0.3)
    for step, variance in ((0, 0.3), (99, 0.3 / 100**0.55)):
        torch.manual_seed(step)
        model.weight.grad = torch.full_like(model.weight, 2.0)
        add_gradient_noise(model, step, config)
        assert model.weight.grad.mean().item() == pytest.approx(2.0, abs=0.02)
        assert model.weight.grad.var().item() == pytest.approx(variance, rel=0.05)
    assert model.bias.grad is None
    drawn = torch.get_rng_state()
    add_gradient_noise(model, 0, OptimizerConfig())
    assert torch.equal(drawn, torch.get_rng_state())


def test_adamw_is_torchs_number_for_number() -> None:
    torch.manual_seed(0)
    model = build("elman", vocab_size=7, width=16)
    other = copy.deepcopy(model)
    config = OptimizerConfig(weight_decay=0.3, beta2=0.95)
    ours = build_optimizer(model, config)
    theirs = build_optimizer(other, config)
    for step in range(6):
        for index, (p, q) in enumerate(zip(model.parameters(), other.parameters(), strict=True)):
            idle = index == 2 and step in (0, 3)  # one that gets no gradient now and then
            p.grad = None if idle else torch.randn_like(p)
            q.grad = None if p.grad is None else p.grad.clone()
        for group in (*ours.param_groups, *theirs.param_groups):
            group["lr"] = 0.01 * (step + 1)
        ours.step()
        torch.optim.AdamW.step(theirs)  # pyright: ignore[reportArgumentType]
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
    for mine, its in zip(*(o.state_dict()["state"].values() for o in (ours, theirs)), strict=True):
        assert all(torch.equal(mine[key], its[key]) for key in its)


@pytest.mark.parametrize("limit", [0.5, 1.0, 3.0, 10.0, math.inf])
def test_clipping_is_torchs_number_for_number(limit: float) -> None:
    for length in (1.0 - 1e-6, 1.0, 1.0 + 1e-6, 3.0, math.inf):
        found = []
        for clip in (clip_gradients, torch.nn.utils.clip_grad_norm_):
            layer = torch.nn.Linear(3, 2)
            layer.weight.grad, layer.bias.grad = torch.full((2, 3), 0.3), torch.full((2,), 0.1)
            factor = length / float(torch.tensor([*[0.3] * 6, 0.1, 0.1]).norm())
            layer.weight.grad *= factor
            layer.bias.grad *= factor
            norm = float(clip(list(layer.parameters()), limit))
            found.append([torch.tensor(norm), layer.weight.grad, layer.bias.grad])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
